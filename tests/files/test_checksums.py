"""What is known of a file before it is sent: size, checksum, change marker, media class."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from upath import UPath

from ipernity_provider.files.checksums import (
    change_marker,
    inspect_file,
    media_of_name,
    with_checksum,
)
from ipernity_provider.files.errors import FileError
from ipernity_provider.hooks.files import as_folder, as_path
from tests.object_storage import MIB, Bucket, Made, ObjectServer, connection_to

RAW = bytes(range(16))
MD5 = RAW.hex()


def refusal(path: Any, **options: Any) -> str:
    with pytest.raises(FileError) as caught:
        inspect_file(path, **options)
    assert caught.value.permanent
    # The text of what it was made of can hold anything.
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


# -- files of this machine -------------------------------------------------------------------------


def test_a_local_file_is_read_for_its_checksum(tmp_path: Path) -> None:
    content = os.urandom(3 * MIB + 1)
    (tmp_path / "boat.jpg").write_bytes(content)
    file = inspect_file(tmp_path / "boat.jpg")
    assert (file.name, file.size, file.media) == ("boat.jpg", len(content), "photo")
    assert (file.md5, file.reported_md5) == (hashlib.md5(content).hexdigest(), None)
    assert file.marker


def test_a_file_is_named_by_its_link_or_as_the_caller_says(picture: Path) -> None:
    link = picture.with_name("current.mp4")
    link.symlink_to(picture)
    assert (inspect_file(link).name, inspect_file(link).media) == ("current.mp4", "video")
    renamed = inspect_file(link, "boat.jpg")
    assert (renamed.name, renamed.media, renamed.source.path) == ("boat.jpg", "photo", picture)


def test_a_file_that_has_not_changed_is_not_read_again(picture: Path) -> None:
    known = replace(inspect_file(picture), md5="as it was read before")
    assert inspect_file(picture, known=known).md5 == "as it was read before"
    picture.write_bytes(b"another one")
    assert inspect_file(picture, known=known).md5 == hashlib.md5(b"another one").hexdigest()


def test_what_cannot_be_sent_is_one_sentence(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert refusal(tmp_path / "empty.jpg") == f"{tmp_path}/empty.jpg is empty."
    assert refusal(tmp_path / "missing.jpg") == f"{tmp_path}/missing.jpg does not exist."
    assert refusal(tmp_path).startswith(f"{tmp_path} is a folder")
    assert "something that is not a folder stands in its place" in refusal(picture / "boat.jpg")
    odd = picture.rename(os.fsdecode(bytes(tmp_path) + b"/b\xf6at.jpg"))
    assert refusal(odd) == (
        f"{tmp_path}/b\\udcf6at.jpg cannot be sent under the name b\\udcf6at.jpg, which is not "
        "UTF-8; give another one with filename."
    )
    assert inspect_file(odd, "böat.jpg").name == "böat.jpg"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("roots", [(), ("/",)])
def test_what_is_not_a_regular_file(tmp_path: Path, roots: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.jpg").symlink_to("pipe")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for name, what in [("link.jpg", "a named pipe (FIFO)"), ("zero.jpg", "a device")]:
        sentence = refusal(tmp_path / name, upload_roots=roots)
        assert sentence.endswith(f" is {what}; only a regular file can be read.")


@pytest.mark.parametrize("roots", [(), ("/",)])
def test_links_in_a_circle_and_names_that_are_too_long(
    tmp_path: Path, roots: tuple[str, ...]
) -> None:
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    circle = refusal(tmp_path / "circle.jpg", upload_roots=roots)
    assert circle == f"{tmp_path}/circle.jpg is a link that leads in a circle."
    assert "has too long a name: 255 bytes" in refusal(
        tmp_path / f"{'x' * 256}.jpg", upload_roots=roots
    )


# -- what a storage reports ------------------------------------------------------------------------


class Stored:
    """A path of a storage that says this of it."""

    path = "media/boat.jpg"
    name = "boat.jpg"

    def __init__(self, protocol: str, info: dict[str, Any]) -> None:
        self.protocol = protocol
        self._info = {"size": 4, "type": "file", **info}

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    @property
    def fs(self) -> Any:
        return SimpleNamespace(info=lambda _path: self._info, invalidate_cache=lambda _path: None)


@pytest.mark.parametrize(
    ("protocol", "info"),
    [
        ("s3", {"ETag": f'"{MD5}"'}),
        ("s3", {"ETag": MD5.upper()}),
        ("s3a", {"ETag": f'"{MD5}"'}),
        ("gs", {"md5Hash": base64.b64encode(RAW).decode()}),
        ("gcs", {"md5Hash": base64.b64encode(RAW).decode()}),
        ("abfs", {"content_settings": {"content_md5": bytearray(RAW)}}),
        ("abfss", {"content_settings": SimpleNamespace(content_md5=RAW)}),
        ("abfs", {"content_settings": {"content_md5": base64.b64encode(RAW).decode()}}),
    ],
)
def test_a_checksum_of_the_whole_file_is_taken_from_its_storage(
    protocol: str, info: dict[str, Any]
) -> None:
    file = inspect_file(Stored(protocol, info))
    assert (file.md5, file.reported_md5, file.size) == (None, MD5, 4)


@pytest.mark.parametrize(
    ("protocol", "info"),
    [
        ("s3", {"ETag": f'"{MD5}-2"'}),  # stored in parts
        ("s3", {"ETag": ""}),
        ("s3", {"ETag": None}),
        ("s3", {}),
        ("gs", {"md5Hash": None}),  # composed of others
        ("gs", {"md5Hash": "no base64"}),
        ("gs", {"md5Hash": base64.b64encode(b"too short").decode()}),
        ("gs", {"etag": MD5}),
        ("abfs", {"content_settings": {"content_md5": None}}),
        ("abfs", {"content_settings": None}),
        ("abfs", {"etag": f'"{MD5}"'}),
        ("hdfs", {"ETag": f'"{MD5}"'}),
    ],
)
def test_anything_else_is_not_a_checksum(protocol: str, info: dict[str, Any]) -> None:
    file = inspect_file(Stored(protocol, info))
    assert (file.md5, file.reported_md5) == (None, None)


def test_a_folder_of_a_storage_is_not_a_file() -> None:
    assert refusal(Stored("s3", {"type": "directory"})).startswith(
        "s3://media/boat.jpg is a folder"
    )


def test_a_file_whose_storage_does_not_know_its_size_is_read() -> None:
    class WithoutSize(Stored):
        def open(self, _mode: str, block_size: int) -> BytesIO:
            return BytesIO(b"boat")

    file = inspect_file(WithoutSize("http", {"size": None, "ETag": f'"{MD5}"'}))
    assert (file.size, file.md5, file.reported_md5) == (4, hashlib.md5(b"boat").hexdigest(), None)


@pytest.mark.socket
def test_an_object_costs_one_question_until_its_checksum_is_wanted(
    object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MADE", connection_to(object_server.url))
    made = Made(3 * MIB, f"{'0' * 32}-3")
    true = hashlib.md5(made.content()).hexdigest()
    object_server.objects["/media/boat.jpg"] = made
    file = inspect_file(as_path("s3://made@media/boat.jpg"))
    assert (file.size, file.md5, file.reported_md5, made.served) == (3 * MIB, None, None, 0)
    read = with_checksum(file)
    assert (read.md5, read.size, made.served) == (true, 3 * MIB, 3 * MIB)
    assert with_checksum(read) is read
    assert made.served == 3 * MIB


def test_an_object_that_was_changed_since_its_folder_was_listed(bucket: Bucket) -> None:
    bucket.put("boat.jpg", b"an older boat")
    (path,) = as_folder(f"s3://media@{bucket.name}/").iterdir()
    bucket.put("boat.jpg", b"boat")
    file = inspect_file(path)
    assert (file.size, file.reported_md5) == (4, hashlib.md5(b"boat").hexdigest())


# -- change markers --------------------------------------------------------------------------------


def test_a_file_that_is_left_alone_keeps_its_marker(picture: Path) -> None:
    assert change_marker(picture) == change_marker(picture) != ""


@pytest.mark.parametrize("how", ["written", "put_in_its_place"])
def test_a_file_of_the_same_size_and_time_is_another_one(picture: Path, how: str) -> None:
    before, stat = change_marker(picture), picture.stat()
    target = picture if how == "written" else picture.with_name("new")
    target.write_bytes(bytes(stat.st_size))
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    target.replace(picture)
    assert (picture.stat().st_size, picture.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert change_marker(picture) != before


def test_an_object_of_the_same_size_is_another_one(bucket: Bucket) -> None:
    bucket.put("boat.jpg", b"a boat")
    file = as_path(f"s3://media@{bucket.name}/boat.jpg")
    before = change_marker(file)
    assert change_marker(file) == before != ""
    bucket.put("boat.jpg", b"a ship")
    assert change_marker(file) != before


THEN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"1"', "LastModified": THEN}, {"ETag": '"2"', "LastModified": THEN}),  # S3
        ({"ETag": '"1"', "LastModified": THEN}, {"ETag": '"1"', "LastModified": NOW}),
        ({"etag": "CAE=", "generation": "1"}, {"etag": "CAE=", "generation": "2"}),  # Google
        (
            {"md5Hash": "b25l", "updated": "2026-01-01"},
            {"md5Hash": "dHdv", "updated": "2026-01-01"},
        ),
        ({"last_modified": THEN}, {"last_modified": NOW}),  # Azure
        ({"etag": "0x8DC1"}, {"etag": "0x8DC2"}),
        ({"mtime": 1.0}, {"mtime": 2.0}),
        ({"Last-Modified": "Thu"}, {"Last-Modified": "Fri"}),
    ],
)
def test_what_a_storage_reports_is_used(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = change_marker(Stored("any", before)), change_marker(Stored("any", after))
    assert "" != old != new != ""
    assert change_marker(Stored("any", {**before, "name": "boat.jpg"})) == old
    assert change_marker(Stored("any", {**before, "size": 5})) != old


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"mtime": 0, "etag": None, "LastModified": ""},
        {"created": THEN, "name": "boat.jpg", "StorageClass": "STANDARD", "mimetype": "image/jpeg"},
        {"etag": "0x8DC1", "size": None},
    ],
)
def test_a_size_alone_is_not_a_marker(info: dict[str, Any]) -> None:
    assert change_marker(Stored("any", info)) == ""


def test_a_file_that_cannot_be_asked_about_has_none(tmp_path: Path, bucket: Bucket) -> None:
    assert change_marker(tmp_path / "missing.jpg") == ""
    assert change_marker(as_path(f"s3://media@{bucket.name}/missing.jpg")) == ""
    assert change_marker(UPath("memory://media/missing.jpg")) == ""


# -- media classes ---------------------------------------------------------------------------------


NAMES = {
    "photo": "boat.jpg BOAT.PNG a.b.jpeg boat.heic scan.tiff",
    "audio": "song.mp3 song.m4a BOOK.M4B song.mka song.flac song.opus song.wma",
    "video": "film.mp4 film.mov film.mkv film.avi film.wmv",
    "other": "paper.pdf table.xls letter.docx slides.odp notes.txt table.csv",
    None: (
        "raw.nef noname .jpg jpg boat.jpg. boat.jpg.gz chart.svg chart.eps chart.ai layers.psd "
        "archive.zip data.json film.3gp film.3gpp film.3g2 film.rm song.ra either.ogg either.webm "
        "either.asf old.swf clip.ts"
    ),
}


@pytest.mark.parametrize(
    ("name", "media"), [(name, media) for media, names in NAMES.items() for name in names.split()]
)
def test_the_media_class_is_read_from_the_name_where_it_is_beyond_doubt(
    name: str, media: str | None
) -> None:
    assert media_of_name(name) == media
