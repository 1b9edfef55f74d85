"""What ``doc.set``, its smaller relatives and ``upload.file`` set of a document."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import ExifTags, Image

from tests.sandbox.caller import Caller, jpeg, md5_of

PRIVATE = {"is_public": "0", "is_family": "0", "is_friend": "0"}


@pytest.mark.parametrize("method", ["doc.set", "doc.setPerms"])
@pytest.mark.parametrize(
    ("params", "share"),
    [
        ({"share": "4"}, "4"),
        ({"share": "3"}, "3"),
        ({**PRIVATE, "is_public": "1"}, "4"),
        ({**PRIVATE, "is_family": "1"}, "1"),
        ({**PRIVATE, "is_friend": "1"}, "2"),
        ({**PRIVATE, "is_family": "1", "is_friend": "1"}, "3"),
        (PRIVATE, "0"),
    ],
)
def test_who_sees_a_document(
    sandbox: Caller, method: str, params: dict[str, str], share: str
) -> None:
    assert list(sandbox.post(method, doc_id="5412", **params)) == ["api"]
    assert sandbox.doc("5412")["visibility"] == {
        "ispublic": str(int(share == "4")),
        "isfriend": str(int(share in "23")),
        "isfamily": str(int(share in "13")),
        "share": share,
    }


@pytest.mark.parametrize("method", ["doc.set", "doc.setPerms"])
def test_who_comments_and_tags(sandbox: Caller, method: str) -> None:
    assert sandbox.doc("5412")["permissions"] == {"comment": "5", "tag": "5", "tagme": "5"}
    sandbox.post(method, doc_id="5412", perm_comment="0", perm_tag="4", perm_tagme="1", share="4")
    assert sandbox.doc("5412")["permissions"] == {"comment": "0", "tag": "4", "tagme": "1"}
    visitor = sandbox.get("doc.get", token=None, doc_id="5412")["doc"]
    assert (visitor["can"]["comment"], visitor["can"]["tag"]) == ("0", "0")
    assert sandbox.doc("5412")["can"]["comment"] == "1"


@pytest.mark.parametrize("method", ["doc.set", "doc.setLicense"])
def test_the_licence(sandbox: Caller, method: str) -> None:
    assert list(sandbox.post(method, doc_id="5412", license="255")) == ["api"]
    assert sandbox.doc("5412")["license"] == "255"


@pytest.mark.parametrize("method", ["doc.set", "doc.setSafety"])
def test_for_whom_it_is_safe(sandbox: Caller, method: str) -> None:
    assert list(sandbox.post(method, doc_id="5412", safety="3")) == ["api"]
    assert sandbox.doc("5412")["safety"] == "3"


@pytest.mark.parametrize("method", ["doc.set", "doc.setGeo"])
def test_the_position(sandbox: Caller, method: str) -> None:
    assert list(sandbox.post(method, doc_id="5413", lat="-33.5", lng="151")) == ["api"]
    geo = sandbox.doc("5413", extra="geo")["geo"]
    assert geo == {"lat": "-33.5", "lng": "151.0", "loc_id": "0", "location": ""}
    sandbox.post(method, doc_id="5413", lat="-999", lng="-999")
    assert "geo" not in sandbox.doc("5413", extra="geo")


WRONG: list[tuple[dict[str, str], str]] = [
    ({"is_public": "1"}, "doc.setPerms"),
    ({**PRIVATE, "is_public": "yes"}, "doc.setPerms"),
    ({**PRIVATE, "share": "0"}, "doc.setPerms"),
    ({"share": "5"}, "doc.setPerms"),
    ({"perm_tag": "6"}, "doc.setPerms"),
    ({"license": "2"}, "doc.setLicense"),
    ({"license": ""}, "doc.setLicense"),
    ({"safety": "0"}, "doc.setSafety"),
    ({"lat": "47"}, "doc.setGeo"),
    ({"lat": "47", "lng": "-999"}, "doc.setGeo"),
    ({"lat": "91", "lng": "0"}, "doc.setGeo"),
    ({"lat": "0", "lng": "inf"}, "doc.setGeo"),
]


@pytest.mark.parametrize(("params", "method"), WRONG)
def test_a_value_that_is_not_documented_is_refused_and_changes_nothing(
    sandbox: Caller, params: dict[str, str], method: str
) -> None:
    before = sandbox.doc("5412", extra="geo,md5")
    own_code = "2" if method == "doc.setPerms" else "900"
    assert sandbox.code(sandbox.post(method, doc_id="5412", **params)) == own_code
    assert sandbox.code(sandbox.post("doc.set", doc_id="5412", title="new", **params)) == "3"
    assert sandbox.doc("5412", extra="geo,md5") == before


@pytest.mark.parametrize(
    ("method", "code"),
    [("doc.setPerms", "2"), ("doc.setLicense", "900"), ("doc.setGeo", "900"), ("doc.set", "2")],
)
def test_a_call_without_a_value_is_refused(sandbox: Caller, method: str, code: str) -> None:
    assert sandbox.code(sandbox.post(method, doc_id="5412")) == code
    assert sandbox.code(sandbox.post(method, doc_id="7001", license="1", share="4")) == "1"


def uploaded(sandbox: Caller, content: bytes, extra: str = "tags,geo", **params: str) -> Any:
    ticket = sandbox.send("upload.file", content, **params)["ticket"]
    return sandbox.doc(sandbox.wait(ticket)["doc_id"], extra=extra)


def test_a_new_document_has_all_that_was_sent_with_it(sandbox: Caller) -> None:
    doc = uploaded(
        sandbox,
        jpeg(),
        title="Boat",
        description="In <b>Auray</b>",
        created_at="2020-02-03 04:05:06",
        license="9",
        is_family="1",
        safety="2",
        keywords="sea, boat,sea",
        album_id="202",
        member_ids="5678",
        perm_comment="1",
        perm_tag="2",
        perm_tagme="3",
        lat="1.5",
        lng="2.5",
    )
    assert (doc["title"], doc["description"]) == ("Boat", "In <b>Auray</b>")
    assert (doc["license"], doc["safety"], doc["visibility"]["share"]) == ("9", "2", "1")
    assert doc["dates"]["created"] == "2020-02-03 04:05:06"
    assert doc["permissions"] == {"comment": "1", "tag": "2", "tagme": "3"}
    assert [(tag["type"], tag["tag"]) for tag in doc["tags"]["tag"]] == [
        ("keyword", "sea"),
        ("keyword", "boat"),
        ("member", "Lois"),
    ]
    assert (doc["geo"]["lat"], doc["geo"]["lng"]) == ("1.5", "2.5")
    assert sandbox.get("doc.getContainers", doc_id=doc["doc_id"])["albums"]["album"] == [
        {"album_id": "202"}
    ]


@pytest.mark.parametrize(
    "params",
    [
        {"perm_tag": "6"},
        {"is_public": "yes"},
        {"lat": "1"},
        {"created_at": "2020-02-03"},
        {"member_ids": "5678,99"},
        {"license": "2"},
    ],
)
def test_a_value_that_is_not_documented_is_refused_with_the_upload(
    sandbox: Caller, params: dict[str, str]
) -> None:
    assert sandbox.code(sandbox.send("upload.file", jpeg(), **params)) == "900"
    assert sandbox.control("ledger") == []


@pytest.mark.parametrize("album_id", ["999", "203"])
def test_an_upload_into_an_album_that_is_not_the_accounts_is_refused(
    sandbox: Caller, album_id: str
) -> None:
    assert sandbox.code(sandbox.send("upload.file", jpeg(), album_id=album_id)) == "900"
    assert sandbox.control("ledger") == []


def with_exif(lat: tuple[float, float, float] = (47.0, 30.0, 36.0), ref: str = "N") -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2021:07:14 08:09:10"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: ref,
            ExifTags.GPS.GPSLatitude: lat,
            ExifTags.GPS.GPSLongitudeRef: "W",
            ExifTags.GPS.GPSLongitude: (2.0, 45.0, 0.0),
        }
    )
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "navy").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_date_and_position_come_from_the_photo(sandbox: Caller) -> None:
    doc = uploaded(sandbox, with_exif())
    assert doc["dates"]["created"] == "2021-07-14 08:09:10"
    assert (doc["geo"]["lat"], doc["geo"]["lng"]) == ("47.51", "-2.75")
    south = uploaded(sandbox, with_exif(ref="S"))
    assert south["geo"]["lat"] == "-47.51"


def test_parameters_override_what_the_photo_says(sandbox: Caller) -> None:
    doc = uploaded(sandbox, with_exif(), created_at="2020-02-03 04:05:06", lat="1", lng="2")
    assert doc["dates"]["created"] == "2020-02-03 04:05:06"
    assert doc["geo"]["lat"] == "1.0"
    assert "geo" not in uploaded(sandbox, with_exif(), lat="-999", lng="-999")


def test_a_photo_that_says_nonsense_has_no_position(sandbox: Caller) -> None:
    doc = uploaded(sandbox, with_exif(lat=(99.0, 0.0, 0.0)))
    assert "geo" not in doc
    assert uploaded(sandbox, jpeg())["dates"]["created"] == "0000-00-00 00:00:00"


def test_a_replacement_leaves_everything_but_the_file(sandbox: Caller) -> None:
    before = sandbox.doc("5412", extra="tags,notes,geo")
    sandbox.wait(sandbox.replace(with_exif()))
    after = sandbox.doc("5412", extra="tags,notes,geo")
    assert after["dates"]["created"] == before["dates"]["created"]
    for name in ("title", "tags", "notes", "geo", "visibility", "permissions", "license", "count"):
        assert after[name] == before[name]


def halves(orientation: int | None = None) -> bytes:
    """Return a photo of 320 x 200 pixels, its left half red and its right half blue."""
    picture = Image.new("RGB", (320, 200), "blue")
    picture.paste("red", (0, 0, 160, 200))
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("direction", "size", "red_is_at"),
    [
        ("1", (240, 150), (10, 75)),
        ("3", (240, 150), (230, 75)),
        ("6", (150, 240), (75, 10)),
        ("8", (150, 240), (75, 230)),
    ],
)
@pytest.mark.parametrize("in_file", [None, 3, 6])
def test_dir_turns_the_thumbnails_of_a_new_photo_whatever_its_file_says(
    sandbox: Caller,
    direction: str,
    size: tuple[int, int],
    red_is_at: tuple[int, int],
    in_file: int | None,
) -> None:
    content = halves(in_file)
    reply = sandbox.send("upload.file", content, **{"dir": direction, "async": "0"})
    doc = sandbox.doc(reply["doc_id"])
    (thumb,) = [one for one in doc["thumbs"]["thumb"] if one["label"] == "240"]
    assert (int(thumb["w"]), int(thumb["h"])) == size
    with Image.open(io.BytesIO(sandbox.http.get(thumb["url"]).content)) as picture:
        red, _, blue = picture.getpixel(red_is_at)  # type: ignore[misc]
    assert red > 200
    assert blue < 50
    assert doc["md5"] == md5_of(content)


@pytest.mark.parametrize("direction", ["2", "0", "north", "-1"])
def test_a_dir_that_is_not_documented_is_refused(sandbox: Caller, direction: str) -> None:
    reply = sandbox.send("upload.file", halves(), dir=direction)
    assert reply["api"]["message"] == "ipernity sandbox: upload.file: dir is not 1, 3, 6 or 8"
