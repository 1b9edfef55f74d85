"""What users write for a file, a folder and a connection to their storage."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from ipernity_provider.airflow_compat import conn_id_of
from ipernity_provider.hooks.files import as_folder, as_path
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.replacement.errors import Refused
from tests.conftest import BOAT, Connect, Service
from tests.object_storage import Bucket, connection_to


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for conn_id in ("one", "other"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection_to("http://127.0.0.1:9"))


def refusal(file: Any, conn_id: str | None = None) -> str:
    with pytest.raises(Refused) as caught:
        as_path(file, conn_id)
    return str(caught.value)


@pytest.mark.parametrize(
    "file", ["/data/boat.jpg", "file:///data/boat.jpg", ObjectStoragePath("file:///data/boat.jpg")]
)
@pytest.mark.parametrize("conn_id", [None, "", "one", "no_such_connection"])
def test_a_local_file_needs_no_connection(file: Any, conn_id: str | None) -> None:
    assert as_path(file, conn_id) == Path("/data/boat.jpg")


@pytest.mark.parametrize(
    ("file", "conn_id"),
    [
        ("s3://one@media/boat.jpg", None),
        ("s3://one@media/boat.jpg", ""),
        ("S3://media/boat.jpg", "one"),
        ("s3://media/boat.jpg", " one "),
        (ObjectStoragePath("s3://media/boat.jpg"), "one"),
        (ObjectStoragePath("s3://media/boat.jpg", conn_id="one"), None),
    ],
)
def test_a_connection_is_named_in_the_uri_or_beside_it(file: Any, conn_id: str | None) -> None:
    path = as_path(file, conn_id)
    assert isinstance(path, ObjectStoragePath)
    assert (str(path), conn_id_of(path)) == ("s3://one@media/boat.jpg", "one")


def test_without_any_connection_it_is_left_to_the_storage() -> None:
    path = as_path("s3://media/a@b/boat.jpg")
    assert (str(path), conn_id_of(path)) == ("s3://media/a@b/boat.jpg", None)


@pytest.mark.parametrize(
    "file", ["s3://one@media/boat.jpg", ObjectStoragePath("s3://media/boat.jpg", conn_id="one")]
)
@pytest.mark.parametrize("conn_id", ["other", "nowhere"])
def test_the_connection_in_the_uri_comes_first(file: Any, conn_id: str) -> None:
    """The other one may be meant for the backups."""
    assert str(as_path(file, conn_id)) == "s3://one@media/boat.jpg"


@pytest.mark.parametrize(
    ("file", "path"),
    [
        (Path("/data/boat "), "/data/boat "),
        (" /data/boat \n", "/data/boat"),
        (Path("file:/data/boat.jpg"), "file:/data/boat.jpg"),
        ("file:/data/a%20boat.jpg", "/data/a boat.jpg"),
        ("FILE:/data/boat.jpg", "/data/boat.jpg"),
        ("local:/data/boat.jpg", "/data/boat.jpg"),
        ("file:boat.jpg", "file:boat.jpg"),
        ("file:///data/b%F6at.jpg", os.fsdecode(b"/data/b\xf6at.jpg")),
    ],
)
def test_a_local_file_is_taken_as_it_is_named(file: Any, path: str) -> None:
    assert str(as_path(file)) == path


@pytest.mark.parametrize(
    "key", ["a b.jpg", "a%20b.jpg", "ä.jpg", "a#b.jpg", "a?b.jpg", "/a.jpg", "./a/../b.jpg"]
)
def test_an_object_is_taken_as_it_is_named(key: str) -> None:
    assert as_path(f"s3://one@media/{key}").path == f"media/{key}"


@pytest.mark.parametrize("key", ["a.jpg?", "a.jpg#", "a\tb.jpg", "a\nb.jpg", "a.jpg?versionId=1"])
@pytest.mark.parametrize("conn_id", [None, "one"])
def test_another_object_is_not_taken_for_the_one_that_is_named(
    key: str, conn_id: str | None
) -> None:
    """Airflow and its libraries drop some of a name without a word."""
    place = "media" if conn_id else "one@media"
    sentence = refusal(f"s3://{place}/{key}", conn_id)
    assert sentence.endswith(
        "(a ?, a # or a tab in it), and another file might be read. Nothing was sent."
    )
    assert sentence.isprintable()
    found = ObjectStoragePath("s3://media") / key  # as a listing gives it
    if "versionId" in key:
        assert refusal(found) == sentence
    else:
        assert as_path(found) == found
    assert refusal(found, "one") == refusal(f"s3://one@media/{key}")


@pytest.mark.parametrize("key", ["", "2026/", "boat.jpg/", "boat.jpg//"])
def test_what_ends_with_a_slash_is_no_file(key: str) -> None:
    assert refusal(f"s3://one@media/{key}") == (
        f"s3://media/{key} ends with a slash, so it is a folder; a replacement needs one file. "
        "Nothing was sent."
    )
    assert as_folder(f"s3://one@media/{key}").path == f"media/{key.rstrip('/')}"


@pytest.mark.parametrize(
    ("file", "conn_id"),
    [
        ("s3://nowhere@media/boat.jpg", None),
        ("s3://media/boat.jpg", "nowhere"),
        (ObjectStoragePath("s3://media/boat.jpg"), "nowhere"),
    ],
)
def test_an_unknown_connection(file: Any, conn_id: str | None) -> None:
    """The storage would do without, and ask somebody else's servers without credentials."""
    assert refusal(file, conn_id) == (
        "s3://media/boat.jpg cannot be opened: the connection 'nowhere' is not known. Nothing was "
        "sent."
    )


def test_a_storage_whose_package_is_missing() -> None:
    assert "airflow.providers.google" not in sys.modules
    assert refusal("gs://media/boat.jpg") == (
        "gs://media/boat.jpg cannot be opened: Airflow has no storage for gs://; install "
        "apache-airflow-providers-google on this machine. Nothing was sent."
    )
    assert refusal("nosuch://media/boat.jpg") == (
        "nosuch://media/boat.jpg cannot be opened: Airflow has no storage for nosuch://; no "
        "provider that is installed brings one. Nothing was sent."
    )


def test_credentials_in_an_address_are_not_shown() -> None:
    assert refusal("s3://AKIAEXAMPLE:s3cr3t@media/boat.jpg") == (
        "s3://media/boat.jpg is named together with credentials: keep them in a connection and "
        "name that. Nothing was sent."
    )
    with_slash = refusal("s3://AKIAEXAMPLE:s3c/r3t@media/boat.jpg")
    assert with_slash == (
        "A file on s3:// is named together with credentials: keep them in a connection and name "
        "that. Nothing was sent."
    )
    for file in (
        "s3://AKIAEXAMPLE:/s3cr3t@media/boat.jpg",
        "s3://AKIAEXAMPLE:12/s3cr3t@media/boat.jpg",
        "https://somebody:s3c/r3t@media.example.org/boat.jpg",
        ObjectStoragePath("s3://AKIAEXAMPLE:s3c/r3t@media/boat.jpg"),
    ):
        assert refusal(file) == with_slash.replace("s3://", str(file).partition("//")[0] + "//")
    assert refusal(ObjectStoragePath("s3://media/boat.jpg", conn_id="AKIAEXAMPLE:s3cr3t")) == (
        "s3://media/boat.jpg is named together with credentials: keep them in a connection and "
        "name that. Nothing was sent."
    )
    assert "no storage for nosuch://" in refusal(
        "nosuch://example.org:8020/boat.jpg"
    )  # a port is no secret
    assert "s3cr3t" not in refusal("https://media.example.org/boat.jpg?X-Amz-Signature=s3cr3t")


def test_a_folder_takes_the_connection_that_it_does_not_name_itself() -> None:
    assert as_folder(None, "one") is None
    assert as_folder(" ", "one") is None
    assert as_folder("/data", "one") == Path("/data")
    assert str(as_folder("s3://media/backups", "one")) == "s3://one@media/backups"
    assert str(as_folder("s3://other@media/backups", "one")) == "s3://other@media/backups"
    stored = ObjectStoragePath("s3://media/backups", conn_id="other")
    assert as_folder(stored, "one") == stored


def test_a_task_function_can_replace_a_file_from_a_bucket(
    connect: Connect, service: Service, bucket: Bucket, picture: Path
) -> None:
    bucket.put("boat.jpg", picture.read_bytes())
    root = f"s3://media@{bucket.name}"
    result = IpernityHook(connect(upload_roots=[root])).replace_file(
        BOAT,
        f"s3://{bucket.name}/boat.jpg",
        file_conn_id="media",
        backup_to=f"s3://{bucket.name}/backups",
        poll_interval=0.1,
    )
    assert result["outcome"] == "replaced"
    assert result["backup"] in [f"{root}/{key}" for key in bucket.stored()]
    assert len(service.ledger()) == 1
