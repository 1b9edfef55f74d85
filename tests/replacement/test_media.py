from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image

from ipernity_provider.replacement.media import media_of_bytes, media_of_name


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("boat.jpg", "photo"),
        ("BOAT.PNG", "photo"),
        ("song.mp3", "audio"),
        ("film.mp4", "video"),
        ("paper.pdf", "other"),
        ("table.xls", "other"),
        ("notes.txt", "other"),
        ("raw.nef", None),
        ("noname", None),
        ("chart.svg", None),
    ],
)
def test_the_media_class_is_read_from_the_name_where_it_says_it(name: str, media: str | None) -> None:
    assert media_of_name(name) == media


def drawn(kind: str) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (64, 48), "#2f6f9f").save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_a_picture_is_known_by_its_first_bytes(kind: str) -> None:
    assert media_of_bytes(drawn(kind)) == "photo"


def mp4(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + brand + b"mp42" + bytes(500)


@pytest.mark.parametrize(
    ("head", "media"),
    [
        (mp4(b"heic"), "photo"),
        (mp4(b"isom"), "video"),
        (mp4(b"qt  "), "video"),
        (b"RIFF\0\1\0\0AVI LIST" + bytes(500), "video"),
        (b"RIFF\0\1\0\0WAVEfmt " + bytes(500), "audio"),
        (b"ID3\4\0\0\0\0\0\x20" + bytes(500), "audio"),
        (mp4(b"M4A "), "audio"),
        (b"fLaC\0\0\0\x22" + bytes(500), "audio"),
        (b"%PDF-1.7\n" + bytes(500), "other"),
    ],
)
def test_so_is_a_film_a_sound_or_a_document(head: bytes, media: str) -> None:
    assert media_of_bytes(head) == media


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"x",
        b"hello, this is text\n" * 20,
        bytes(500),
        b"OggS\0\2" + bytes(500),  # either
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        b"PK\3\4\x14\0" + bytes(500),
        b"BM is how this text begins",  # two bytes are no proof of a bitmap
    ],
)
def test_what_can_be_anything_is_left_to_the_service(head: bytes) -> None:
    assert media_of_bytes(head) is None


def test_its_tables_are_not_loaded_before_they_are_needed() -> None:
    program = "import ipernity_provider.replacement, sys; print('puremagic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
