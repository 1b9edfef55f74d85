"""Files from S3: replaced once, read once, while they are sent; each failure is one sentence."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    CredentialError,
    IpernityError,
    SourceChanged,
    SourceUnreadable,
)
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.errors import OtherUploadPending, Refused
from ipernity_provider.replacement.record import MemoryJournal
from ipernity_provider.replacement.request import Intent
from scripts.rig import free_port
from tests.conftest import API_KEY, API_SECRET, BOAT, TOKEN, Service
from tests.object_storage import MIB, Bucket, Made, ObjectServer, connection_to
from tests.replacement.support import md5_of, replacement, run, sent

URI = "s3://made@media/boat.jpg"
IN_PARTS = f"{'0' * 32}-3"  # such an ETag is not a checksum
WRONG = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def made(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Made]:
    """Puts an object of any size and ETag under ``s3://made@media/<key>``."""
    monkeypatch.setenv("AIRFLOW_CONN_MADE", connection_to(object_server.url))

    def put(key: str, size: int, etag: str | None = None, head: bytes = b"") -> Made:
        new = Made(size, "", head)
        new.etag = etag or hashlib.md5(new.content()).hexdigest()
        object_server.objects[f"/media/{key}"] = new
        return new

    return put


# -- replaced --------------------------------------------------------------------------------------


@pytest.mark.parametrize("named_in", ["uri", "parameter"])
def test_an_object_is_replaced_like_a_file(
    service: Service, client: IpernityClient, bucket: Bucket, picture: Path, named_in: str
) -> None:
    bucket.put("2026/boat.jpg", picture.read_bytes())
    file = (
        as_path(f"s3://media@{bucket.name}/2026/boat.jpg")
        if named_in == "uri"
        else as_path(f"s3://{bucket.name}/2026/boat.jpg", "media")
    )
    result = run(client, file, proof="md5")
    assert (result.outcome, result.filename, result.md5) == (
        "replaced",
        "boat.jpg",
        md5_of(picture),
    )
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("etag", [None, IN_PARTS, WRONG], ids=["right", "none", "wrong"])
def test_an_object_is_read_once_whatever_checksum_its_storage_reports(
    service: Service, client: IpernityClient, made: Callable[..., Made], etag: str | None
) -> None:
    """An object encrypted with a KMS key has an ETag that looks like a checksum and is none."""
    stored = made("boat.jpg", 5 * MIB, etag=etag)
    true = hashlib.md5(stored.content()).hexdigest()
    result = run(client, as_path(URI), proof="md5")
    assert (result.outcome, result.md5, result.bytes) == ("replaced", true, 5 * MIB)
    assert service.ledger()[0]["md5"] == true
    assert stored.served == 5 * MIB
    assert service.calls()["upload.replace"] == 1


def test_an_unchanged_object_is_not_even_read(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    stored = made("boat.jpg", MIB)
    run(client, as_path(URI))
    again = run(client, as_path(URI))
    assert (again.outcome, again.md5) == ("unchanged", stored.etag)
    assert stored.served == MIB
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("etag", [IN_PARTS, WRONG])
def test_an_object_without_a_right_checksum_is_sent_again(
    service: Service, client: IpernityClient, made: Callable[..., Made], etag: str
) -> None:
    """To find out that it is unchanged it would have to be read as well."""
    made("boat.jpg", MIB, etag=etag)
    assert [run(client, as_path(URI)).outcome for _ in range(2)] == ["replaced", "replaced"]
    assert len(service.ledger()) == 2


def test_a_dry_run_reads_nothing(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    stored = made("boat.jpg", MIB)
    planned = run(client, as_path(URI), dry_run=True)
    assert (planned.outcome, planned.md5, planned.bytes, stored.served) == ("planned", None, MIB, 0)
    assert service.ledger() == []


# -- tried again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("etag", [None, IN_PARTS, WRONG], ids=["right", "none", "wrong"])
def test_a_retry_continues_with_what_was_sent_and_reads_nothing(
    service: Service, client: IpernityClient, made: Callable[..., Made], etag: str | None
) -> None:
    journal = MemoryJournal()
    stored = made("boat.jpg", MIB, etag=etag)
    service.fail("code:107", "upload.checkTickets")
    with pytest.raises(CredentialError):
        run(client, as_path(URI), journal)
    assert run(client, as_path(URI), journal).outcome == "replaced"
    assert stored.served == MIB
    assert len(service.ledger()) == 1


def test_a_lost_answer_is_found_by_the_checksum_of_what_was_sent(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    stored = made("boat.jpg", MIB, etag=WRONG)
    service.fail("drop_after_accepting", "upload.replace")
    result = run(client, as_path(URI))
    assert (result.outcome, result.md5) == ("replaced", hashlib.md5(stored.content()).hexdigest())
    assert len(service.ledger()) == 1


def test_another_object_in_its_place_is_another_file(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    journal = MemoryJournal()
    made("boat.jpg", MIB, etag=WRONG)
    sent(client, as_path(URI), journal)
    made("boat.jpg", MIB + 1, etag=WRONG)
    with pytest.raises(OtherUploadPending):
        run(client, as_path(URI), journal)
    time.sleep(0.4)
    assert run(client, as_path(URI), journal).bytes == MIB + 1
    assert len(service.ledger()) == 2


def test_without_a_journal_a_retry_looks_for_the_bytes_and_not_for_what_the_storage_reports(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    made("boat.jpg", MIB, etag=WRONG)
    intent = Intent(since=time.time() - 1, without_journal=True)
    sent(client, as_path(URI), MemoryJournal())
    assert run(client, as_path(URI), intent=intent, if_unchanged="replace").outcome == "replaced"
    assert len(service.ledger()) == 1


# -- failures --------------------------------------------------------------------------------------


def failure(
    service: Service, client: IpernityClient, file: Any, error: type[IpernityError] = Refused
) -> str:
    journal = MemoryJournal()
    with pytest.raises(error) as caught:
        run(client, file, journal)
    assert (service.ledger(), journal.read()) == ([], None)
    sentence = str(caught.value)
    assert "\n" not in sentence
    # Airflow shows causes too, and their text can hold anything.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return sentence


@pytest.mark.parametrize("bucket_name", ["", "no-such-bucket"])
def test_a_missing_object(
    service: Service, client: IpernityClient, bucket: Bucket, bucket_name: str
) -> None:
    uri = f"s3://media@{bucket_name or bucket.name}/missing.jpg"
    assert failure(service, client, as_path(uri)) == f"{uri} does not exist. Nothing was sent."


@pytest.mark.parametrize("place", ["", "/2026"])
def test_a_folder(service: Service, client: IpernityClient, bucket: Bucket, place: str) -> None:
    bucket.put("2026/boat.jpg", b"boat")
    assert " is a folder" in failure(service, client, as_path(f"s3://media@{bucket.name}{place}"))


def test_an_empty_object(service: Service, client: IpernityClient, bucket: Bucket) -> None:
    bucket.put("boat.jpg", b"")
    uri = f"s3://media@{bucket.name}/boat.jpg"
    assert failure(service, client, as_path(uri)) == f"{uri} is empty. Nothing was sent."


@pytest.mark.parametrize("who", ["wrong_secret", "unknown_key", "without_rights", "nobody"])
def test_credentials_that_do_not_work(
    service: Service,
    client: IpernityClient,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
) -> None:
    storage = bucket.storage
    stored = {
        "wrong_secret": storage.connection(secret="wr0ngwr0ngwr0ng"),
        "unknown_key": storage.connection(key="AKIAUNKNOWN"),
        "without_rights": storage.connection(storage.stranger),
        "nobody": storage.connection(key=None, secret=None),
    }[who]
    monkeypatch.setenv(f"AIRFLOW_CONN_{who.upper()}", stored)
    bucket.put("boat.jpg", b"boat")
    uri = f"s3://{who}@{bucket.name}/boat.jpg"
    assert failure(service, client, as_path(uri)) == (
        f"{uri} cannot be read: access is denied; check the rights, the credentials and the name. "
        "Nothing was sent."
    )


def test_a_storage_that_cannot_be_reached_is_left_to_a_retry(
    service: Service, client: IpernityClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", connection_to(f"http://127.0.0.1:{free_port()}"))
    uri = "s3://away@media/boat.jpg"
    assert failure(service, client, as_path(uri), SourceUnreadable) == (
        f"{uri} cannot be read (EndpointConnectionError). Nothing was sent."
    )


# -- an object that is not left alone --------------------------------------------------------------


@pytest.mark.parametrize("how", ["vanishes", "changes"])
def test_an_object_that_is_not_left_alone_while_it_is_sent(
    service: Service, client: IpernityClient, bucket: Bucket, how: str
) -> None:
    bucket.put("boat.jpg", bytes(20 * MIB))
    journal = MemoryJournal()
    process = replacement(client, as_path(f"s3://media@{bucket.name}/boat.jpg"), journal)

    def progress(sent: int, size: int) -> None:
        if sent == MIB and how == "vanishes":
            bucket.delete("boat.jpg")
        elif sent == MIB:
            bucket.put("boat.jpg", b"\1" * (20 * MIB))

    process.progress = progress
    with pytest.raises(
        (SourceUnreadable, SourceChanged), match=r"^boat\.jpg .*; nothing was replaced\.$"
    ):
        process.run()
    assert (service.ledger(), journal.read()) == ([], None)


def test_an_object_that_vanishes_before_it_is_sent(
    service: Service, client: IpernityClient, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("boat.jpg", b"boat")
    asked = client.check_token

    def check_token() -> Any:
        bucket.delete("boat.jpg")
        return asked()

    monkeypatch.setattr(client, "check_token", check_token)
    sentence = failure(
        service, client, as_path(f"s3://media@{bucket.name}/boat.jpg"), SourceUnreadable
    )
    assert sentence.startswith("boat.jpg could not be read")
    assert sentence.endswith("nothing was replaced.")


# -- memory ----------------------------------------------------------------------------------------


REPLACE_AND_MEASURE = """
import sys
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.replace import replace_file
from ipernity_provider.replacement.request import ReplaceOptions, ReplaceRequest
from tests.memory import begin_measuring, peak_kib

url, key, secret, token, doc_id = sys.argv[1:]
with IpernityClient(key, secret, token=token, base_url=url) as client:
    def replaced(name):
        request = ReplaceRequest(doc_id=doc_id, file=as_path(f"s3://made@media/{name}"))
        result = replace_file(client, request, ReplaceOptions(poll_interval=0.2))
        assert result.outcome == "replaced", result
    replaced("small.jpg")  # pays for imports, buffers and the connections
    before = begin_measuring()
    replaced("big.jpg")
    print(peak_kib() - before)
"""


def test_an_object_of_128_mib_raises_peak_memory_by_less_than_64_mib(
    service: Service, made: Callable[..., Made]
) -> None:
    made("small.jpg", MIB)
    stored = made("big.jpg", 128 * MIB, etag=IN_PARTS)
    command = [
        sys.executable,
        "-c",
        REPLACE_AND_MEASURE,
        service.url,
        API_KEY,
        API_SECRET,
        TOKEN,
        BOAT,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown_kib = int(done.stdout.splitlines()[-1])
    assert [accepted["bytes"] for accepted in service.ledger()] == [MIB, 128 * MIB]
    assert stored.served == 128 * MIB
    assert grown_kib < 64 * 1024
