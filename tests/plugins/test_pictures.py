"""Small pictures, drawn again: nothing else leaves the API server."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from PIL import Image

from ipernity_provider.plugins.pictures import EDGE, PagePictures, backup_picture, shrink
from ipernity_provider.plugins.places import NotShown
from tests.conftest import BOAT, SECRETS, Connect, Service, draw

WHERE = 0x8825  # the tag of a photo's position


def bytes_of(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"),
        ("RGBA", "PNG"),
        ("P", "GIF"),
        ("CMYK", "JPEG"),
        ("1", "TIFF"),
        ("L", "WEBP"),
    ],
)
def test_any_picture_becomes_a_small_jpeg(mode: str, kind: str) -> None:
    small = opened(shrink(bytes_of(Image.new(mode, (3000, 1000)), kind)))
    assert (small.format, max(small.size)) == ("JPEG", EDGE)


def test_what_is_clear_becomes_white() -> None:
    small = opened(shrink(bytes_of(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG")))
    assert small.getpixel((25, 25)) == (255, 255, 255)


def test_the_picture_is_upright_and_does_not_say_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif.get_ifd(WHERE)[2] = (48.0, 8.0, 0.0)
    data = bytes_of(Image.new("RGB", (400, 200)), "JPEG", exif=exif)
    assert opened(data).getexif().get_ifd(WHERE)
    small = opened(shrink(data))
    assert small.size == (200, 400)
    assert not dict(small.getexif())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"root:x:0:0",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        bytes_of(Image.new("RGB", (50, 50)), "PNG")[:60],
    ],
)
def test_nothing_but_a_picture_is_shown(data: bytes) -> None:
    with pytest.raises(NotShown, match="It is not a picture"):
        shrink(data)


def test_a_picture_of_too_many_pixels_is_not_opened() -> None:
    huge = bytes_of(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(huge) < 100_000
    with pytest.raises(NotShown, match="too many pixels"):
        shrink(huge)


def test_without_pillow_the_reader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(NotShown, match=r"airflow-provider-ipernity\[view\]"):
        shrink(b"")


def test_a_backup_is_read_below_the_named_folders_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backups").mkdir()
    monkeypatch.setenv("AIRFLOW__IPERNITY__VIEW_ROOTS", str(tmp_path / "backups"))
    inside = draw(tmp_path / "backups" / "5412-x.jpg", "#2f6f9f")
    outside = draw(tmp_path / "5412-x.jpg", "#2f6f9f")
    assert opened(backup_picture(str(inside))).size == (320, 200)
    with pytest.raises(NotShown, match="outside the folders"):
        backup_picture(str(outside))


def test_what_a_page_shows_is_asked_for_once(service: Service, connect: Connect) -> None:
    pictures, conn_id = PagePictures(), connect()
    first = pictures.get(conn_id, BOAT)
    assert max(opened(first).size) <= EDGE
    asked = service.calls()
    assert pictures.get(conn_id, BOAT) == first
    assert service.calls() == asked


def test_a_document_that_is_gone_is_asked_for_once_and_says_so(
    service: Service, connect: Connect
) -> None:
    pictures, conn_id = PagePictures(), connect()
    for _ in range(2):
        with pytest.raises(NotShown, match="There is no picture of document 90000001"):
            pictures.get(conn_id, "90000001")
    assert service.calls()["doc.get"] == 1


def test_a_connection_that_cannot_be_used_here_says_so_without_its_secrets(
    service: Service, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_OTHER", '{"conn_type": "http", "password": "e9a599f0cf6ce193"}'
    )
    wrong = connect("wrong", timeout="soon")
    for conn_id in ("nowhere", "other", wrong):
        with pytest.raises(NotShown, match="onnection") as error:
            PagePictures().get(conn_id, BOAT)
        assert not [secret for secret in SECRETS if secret in str(error.value)]
