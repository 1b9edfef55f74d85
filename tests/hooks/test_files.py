"""What users write for a file, a folder and a connection to their storage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from ipernity_provider.hooks.files import as_folder, as_path
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.replacement.order import Refused
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
    assert (str(path), path.conn_id) == ("s3://one@media/boat.jpg", "one")


def test_without_any_connection_it_is_left_to_the_storage() -> None:
    path = as_path("s3://media/a@b/boat.jpg")
    assert (str(path), path.conn_id) == ("s3://media/a@b/boat.jpg", None)


@pytest.mark.parametrize(
    "file", ["s3://one@media/boat.jpg", ObjectStoragePath("s3://media/boat.jpg", conn_id="one")]
)
def test_two_connections_are_one_too_many(file: Any) -> None:
    assert refusal(file, "other") == (
        "s3://media/boat.jpg names the connection one, and file_conn_id names other: name one of them. Nothing was sent."
    )


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
        "s3://media/boat.jpg cannot be opened: the connection 'nowhere' is not known. Nothing was sent."
    )


def test_a_storage_whose_package_is_missing() -> None:
    assert "airflow.providers.google" not in sys.modules
    assert refusal("gs://media/boat.jpg") == (
        "gs://media/boat.jpg cannot be opened: Airflow has no storage for gs://; install apache-airflow-providers-google "
        "where the tasks run. Nothing was sent."
    )
    assert refusal("nosuch://media/boat.jpg") == (
        "nosuch://media/boat.jpg cannot be opened: Airflow has no storage for nosuch://; no provider that is installed "
        "brings one. Nothing was sent."
    )


def test_credentials_in_an_address_are_not_shown() -> None:
    assert refusal("s3://AKIAEXAMPLE:s3cr3t@media/boat.jpg") == (
        "s3://media/boat.jpg is named together with credentials: keep them in a connection and name that. Nothing was sent."
    )
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
