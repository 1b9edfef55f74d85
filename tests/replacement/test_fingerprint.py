"""Whether a file is still the one that was read, as cheaply as its storage tells."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.fingerprint import fingerprint
from tests.object_storage import Bucket
from tests.replacement.test_checksum import Stored


def test_a_file_that_is_left_alone_keeps_it(picture: Path) -> None:
    assert fingerprint(picture) == fingerprint(picture) != ""


@pytest.mark.parametrize("how", ["written", "put_in_its_place"])
def test_a_file_of_the_same_size_and_time_is_another_one(picture: Path, how: str) -> None:
    before, stat = fingerprint(picture), picture.stat()
    target = picture if how == "written" else picture.with_name("new")
    target.write_bytes(bytes(stat.st_size))
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    target.replace(picture)
    assert (picture.stat().st_size, picture.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert fingerprint(picture) != before


def test_an_object_of_the_same_size_is_another_one(bucket: Bucket) -> None:
    bucket.put("boat.jpg", b"a boat")
    file = as_path(f"s3://media@{bucket.name}/boat.jpg")
    before = fingerprint(file)
    assert fingerprint(file) == before != ""
    bucket.put("boat.jpg", b"a ship")
    assert fingerprint(file) != before


def of_stored(told: dict[str, Any]) -> str:
    path: Any = Stored("any", told)
    return fingerprint(path)


THEN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"1"', "LastModified": THEN}, {"ETag": '"2"', "LastModified": THEN}),  # S3
        ({"ETag": '"1"', "LastModified": THEN}, {"ETag": '"1"', "LastModified": NOW}),
        ({"etag": "CAE=", "generation": "1"}, {"etag": "CAE=", "generation": "2"}),  # Google
        ({"md5Hash": "b25l", "updated": "2026-01-01"}, {"md5Hash": "dHdv", "updated": "2026-01-01"}),
        ({"last_modified": THEN}, {"last_modified": NOW}),  # Azure
        ({"etag": "0x8DC1"}, {"etag": "0x8DC2"}),
        ({"mtime": 1.0}, {"mtime": 2.0}),
        ({"Last-Modified": "Thu"}, {"Last-Modified": "Fri"}),
    ],
)
def test_what_a_storage_tells_is_used(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = of_stored(before), of_stored(after)
    assert "" != old != new != ""
    assert of_stored({**before, "name": "boat.jpg"}) == old
    assert of_stored({**before, "size": 5}) != old


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"mtime": 0, "etag": None, "LastModified": ""},
        {"created": THEN, "name": "boat.jpg", "StorageClass": "STANDARD", "mimetype": "image/jpeg"},
        {"etag": "0x8DC1", "size": None},
    ],
)
def test_a_size_alone_tells_nothing(told: dict[str, Any]) -> None:
    assert of_stored(told) == ""


def test_a_file_that_cannot_be_asked_about_has_none(tmp_path: Path, bucket: Bucket) -> None:
    assert fingerprint(tmp_path / "missing.jpg") == ""
    assert fingerprint(as_path(f"s3://media@{bucket.name}/missing.jpg")) == ""
    assert fingerprint(UPath("memory://media/missing.jpg")) == ""
