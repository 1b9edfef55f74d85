"""The previous original is stored, checked, before anything is sent; without it nothing is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.hooks.files import as_folder, as_path
from ipernity_provider.replacement.backup import BackupNotStored
from ipernity_provider.replacement.errors import Refused
from scripts.rig import free_port
from tests.conftest import BOAT, Service
from tests.object_storage import MIB, Bucket, connection_to
from tests.replacement.support import run


def refusal(service: Service, client: IpernityClient, picture: Path, folder: object) -> str:
    with pytest.raises(Refused) as caught:
        run(client, picture, backup_to=folder)
    assert service.ledger() == []
    assert "upload.replace" not in service.calls()
    return str(caught.value)


def test_the_previous_original_is_kept_checked_and_can_be_restored(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path
) -> None:
    before = client.get_document(BOAT)
    result = run(client, picture, backup_to=tmp_path / "backups" / "2026")
    assert result.backup is not None
    backup = Path(result.backup)
    assert backup.name.startswith(f"5412-{before.md5}-2")
    assert backup.suffix == ".jpg"
    assert list(backup.parent.iterdir()) == [backup]
    assert run(client, backup).md5 == before.md5
    assert client.get_document(BOAT).md5 == before.md5


@pytest.mark.parametrize("options", [{"dry_run": True}, {"if_unchanged": "succeed"}])
def test_nothing_is_stored_where_nothing_is_sent(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    if "if_unchanged" in options:
        run(client, picture)
    assert run(client, picture, backup_to=tmp_path / "backups", **options).backup is None
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a-file", "cannot be written: something that is not a folder stands in its place"),
        ("pipe", "cannot be written: something that is not a folder stands in its place"),
        ("circle", "is a link that leads in a circle"),
        ("a-file/below", "cannot be written: something that is not a folder stands in its place"),
        ("circle/below", "is a link that leads in a circle"),
        ("x" * 256, "has too long a name: 255 bytes"),
    ],
)
def test_without_its_backup_nothing_is_sent(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / name
    sentence = refusal(service, client, picture, folder)
    assert sentence.startswith(f"There is no backup of document {BOAT}: {folder} {words}")
    assert sentence.endswith("Nothing was sent.")


def test_a_backup_that_is_not_the_original_is_refused_and_removed(
    service: Service,
    client: IpernityClient,
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "download", lambda _url, **_: iter([b"not the original"]))
    assert "what was fetched has md5" in refusal(service, client, picture, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


# -- on object storage -----------------------------------------------------------------------------


def test_the_previous_original_is_kept_in_a_bucket_and_can_be_restored(
    service: Service, client: IpernityClient, bucket: Bucket, picture: Path
) -> None:
    before = client.get_document(BOAT)
    result = run(client, picture, backup_to=as_folder(f"s3://{bucket.name}/backups/2026", "media"))
    assert result.backup is not None
    assert result.backup.startswith(f"s3://media@{bucket.name}/backups/2026/5412-{before.md5}-2")
    assert run(client, as_path(result.backup)).md5 == before.md5
    assert client.get_document(BOAT).md5 == before.md5
    assert bucket.unfinished() == 0


@pytest.mark.parametrize("blocks", [1, 20], ids=["small", "in_parts"])
def test_a_backup_that_breaks_off_leaves_nothing_in_the_bucket(
    service: Service,
    client: IpernityClient,
    bucket: Bucket,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    blocks: int,
) -> None:
    monkeypatch.setattr(
        client, "download", lambda _url, **_: iter([b"not the original".ljust(MIB)] * blocks)
    )
    folder = as_folder(f"s3://media@{bucket.name}/backups")
    assert "what was fetched has md5" in refusal(service, client, picture, folder)
    assert bucket.stored() == []
    assert bucket.unfinished() == 0


def test_a_mistyped_bucket_is_not_made_for_a_backup(
    service: Service, client: IpernityClient, bucket: Bucket, picture: Path
) -> None:
    folder = as_folder("s3://media@no-such-bucket/backups")
    assert refusal(service, client, picture, folder) == (
        f"There is no backup of document {BOAT}: s3://media@no-such-bucket/backups does not exist. "
        "Nothing was sent."
    )
    names = [found["Name"] for found in bucket.storage.client().list_buckets()["Buckets"]]
    assert "no-such-bucket" not in names


def test_a_bucket_that_must_not_be_written_to(
    service: Service,
    client: IpernityClient,
    bucket: Bucket,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STRANGER", bucket.storage.connection(bucket.storage.stranger))
    folder = as_folder(f"s3://stranger@{bucket.name}/backups")
    assert "cannot be written: access is denied" in refusal(service, client, picture, folder)


def test_a_bucket_that_cannot_be_reached_is_left_to_a_retry(
    service: Service, client: IpernityClient, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GONE", connection_to(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(BackupNotStored, match=r"cannot be written \(EndpointConnectionError\)"):
        run(client, picture, backup_to=as_folder("s3://gone@media/backups"))
    assert service.ledger() == []
