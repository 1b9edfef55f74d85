"""Files from S3: replaced once, read no more than twice, and each failure of the storage one sentence."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import CredentialError, IpernityError, SourceChanged, SourceUnreadable
from ipernity_provider.hooks.files import as_folder, as_path
from ipernity_provider.replacement import MemoryJournal, Order, replace_file
from ipernity_provider.replacement.backup import BackupNotStored
from ipernity_provider.replacement.batch import (
    Batch,
    BatchOrder,
    MemoryBatchJournal,
    plan_all,
    require_possible,
)
from ipernity_provider.replacement.life import begin
from ipernity_provider.replacement.manifest import Line
from ipernity_provider.replacement.order import Refused
from ipernity_provider.replacement.source import examine, read_if_in_doubt
from scripts.rig import free_port
from tests.conftest import API_KEY, API_SECRET, BOAT, TOKEN, Service, draw
from tests.object_storage import MIB, Bucket, Made, ObjectServer, connection_to
from tests.replacement.test_life import md5_of, run

SENT_NOTHING = "Nothing was sent."


@pytest.fixture(scope="module")
def object_server() -> Iterator[ObjectServer]:
    with ObjectServer.running() as server:
        yield server


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


# -- replaced --------------------------------------------------------------------------------------------------------


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
    result = run(client, file, verify="md5")
    assert (result.outcome, result.filename, result.md5) == ("replaced", "boat.jpg", md5_of(picture))
    assert len(service.ledger()) == 1


def test_an_object_that_was_stored_in_parts_is_read_for_its_checksum(
    service: Service, client: IpernityClient, bucket: Bucket, picture: Path
) -> None:
    parts = (picture.read_bytes().ljust(5 * MIB, b"\0"), b"the end")
    bucket.put_in_parts("boat.jpg", *parts)
    result = run(client, as_path(f"s3://media@{bucket.name}/boat.jpg"))
    assert (result.md5, result.bytes) == (hashlib.md5(b"".join(parts)).hexdigest(), 5 * MIB + 7)


def test_a_claimed_checksum_spares_one_reading(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    stored = made("boat.jpg", 20 * MIB)
    assert run(client, as_path("s3://made@media/boat.jpg"), verify="md5").md5 == stored.etag
    assert stored.served == 20 * MIB
    assert run(client, as_path("s3://made@media/boat.jpg")).outcome == "unchanged"
    assert stored.served == 20 * MIB


def test_without_a_claim_an_object_is_read_twice(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    stored = made("boat.jpg", 20 * MIB, etag=f"{'0' * 32}-3")
    assert run(client, as_path("s3://made@media/boat.jpg"), verify="md5").outcome == "replaced"
    assert stored.served == 2 * 20 * MIB


# -- a claim that is wrong -------------------------------------------------------------------------------------------


WRONG = "0123456789abcdef0123456789abcdef"


def test_a_wrong_claim_is_noticed_before_the_last_byte_and_planned_anew(
    service: Service,
    client: IpernityClient,
    made: Callable[..., Made],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An object that is encrypted with a KMS key has an ETag that looks like an MD5 and is none."""
    caplog.set_level(logging.INFO)
    stored = made("boat.jpg", 20 * MIB, etag=WRONG)
    true = hashlib.md5(stored.content()).hexdigest()
    result = run(client, as_path("s3://made@media/boat.jpg"), verify="md5", backup_to=tmp_path / "backups")
    assert (result.outcome, result.md5) == ("replaced", true)
    (accepted,) = service.ledger()
    assert (accepted["md5"], accepted["bytes"]) == (true, 20 * MIB)
    assert stored.served == 2 * 20 * MIB
    assert f"boat.jpg says that its md5 is {WRONG}, but its bytes have {true}" in caplog.text
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_a_document_that_carries_the_file_behind_a_wrong_claim_is_unchanged(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    made("boat.jpg", MIB, etag=WRONG)
    run(client, as_path("s3://made@media/boat.jpg"))
    sent = service.calls()["upload.replace"]
    assert run(client, as_path("s3://made@media/boat.jpg")).outcome == "unchanged"
    assert len(service.ledger()) == 1
    assert service.calls()["upload.replace"] == sent  # nor was it begun


@pytest.mark.parametrize("account", [{"quota_left_bytes": 10}, {"is_pro": False}, {"max_file_bytes": 10}])
def test_an_unchanged_file_behind_a_wrong_claim_needs_neither_volume_nor_rights(
    service: Service, client: IpernityClient, made: Callable[..., Made], account: dict[str, Any]
) -> None:
    stored = made("boat.jpg", MIB, etag=WRONG)
    run(client, as_path("s3://made@media/boat.jpg"))
    stored.served = 0
    service.set(**account)
    assert run(client, as_path("s3://made@media/boat.jpg")).outcome == "unchanged"
    assert stored.served == MIB
    assert len(service.ledger()) == 1


def test_a_claim_that_a_reading_has_shown_right_is_not_doubted_again(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    made("boat.jpg", MIB)
    file = as_path("s3://made@media/boat.jpg")
    run(client, file)
    document = client.get_document(BOAT)
    other = made("boat.jpg", MIB, head=b"another boat")
    source = read_if_in_doubt(examine(file, None, ()), document)
    assert (source.md5, source.unread, other.served) == (other.etag, False, MIB)
    assert read_if_in_doubt(source, document) == source
    # It is another file now: a mend of the claim would send it, and nobody has looked at it yet.
    made("boat.jpg", MIB, etag=other.etag, head=b"a third boat")
    with pytest.raises(SourceChanged):
        begin(client, Order(doc_id=BOAT, file=file), MemoryJournal(), source=source)
    assert len(service.ledger()) == 1


def test_another_file_of_the_same_size_is_read_to_be_sure(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    made("boat.jpg", MIB)
    run(client, as_path("s3://made@media/boat.jpg"))
    other = made("boat.jpg", MIB, head=b"another boat")
    assert run(client, as_path("s3://made@media/boat.jpg")).md5 == other.etag
    assert other.served == 2 * MIB
    assert len(service.ledger()) == 2


def test_a_retry_behind_a_wrong_claim_goes_on_with_what_was_sent(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    journal = MemoryJournal()
    made("boat.jpg", MIB, etag=WRONG)
    service.fail("code:107", "upload.checkTickets")
    service.set(processing_seconds=1.0)
    with pytest.raises(CredentialError):
        run(client, as_path("s3://made@media/boat.jpg"), journal)
    assert run(client, as_path("s3://made@media/boat.jpg"), journal).outcome == "replaced"
    assert len(service.ledger()) == 1
    assert service.calls()["upload.replace"] == 2  # the one that was broken off, and the one that was not


def test_another_object_behind_the_same_wrong_claim_starts_anew(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    journal = MemoryJournal()
    made("boat.jpg", MIB, etag=WRONG)
    run(client, as_path("s3://made@media/boat.jpg"), journal)
    made("boat.jpg", MIB + 1, etag=WRONG)
    assert run(client, as_path("s3://made@media/boat.jpg"), journal).bytes == MIB + 1
    assert len(service.ledger()) == 2


def test_without_a_journal_a_retry_trusts_no_claim(
    service: Service, client: IpernityClient, made: Callable[..., Made]
) -> None:
    """What an earlier try may have sent is looked for by its checksum."""
    made("boat.jpg", MIB, etag=WRONG)
    since = time.time() - 1
    file = as_path("s3://made@media/boat.jpg")
    order = Order(doc_id=BOAT, file=file, if_unchanged="replace")
    begin(client, order, MemoryJournal())
    again = Order(doc_id=BOAT, file=file, if_unchanged="replace", maybe_sent_since=since, resend_grace=5.0)
    assert replace_file(client, again, poll_interval=0.1).outcome == "replaced"
    assert len(service.ledger()) == 1


# -- a name that says nothing ----------------------------------------------------------------------------------------


FILM = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "


@pytest.mark.parametrize("etag", [None, f"{'0' * 32}-3"], ids=["claimed", "read"])
def test_a_name_without_a_kind_leaves_it_to_the_first_bytes(
    service: Service, client: IpernityClient, made: Callable[..., Made], etag: str | None
) -> None:
    stored = made("boat", 20 * MIB, etag, head=FILM)
    with pytest.raises(Refused, match="boat is of class video, document 5412 of class photo"):
        run(client, as_path("s3://made@media/boat"))
    assert service.ledger() == []
    assert stored.served == 20 * MIB if etag else stored.served < 10 * MIB


# -- failures --------------------------------------------------------------------------------------------------------


def failure(
    service: Service, client: IpernityClient, file: Any, error: type[IpernityError] = Refused, **options: Any
) -> str:
    journal = MemoryJournal()
    with pytest.raises(error) as caught:
        run(client, file, journal, **options)
    assert service.ledger() == []
    assert journal.read() is None
    sentence = str(caught.value)
    assert "\n" not in sentence
    # Airflow shows causes too, and their text can hold anything.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return sentence


def test_a_missing_key(service: Service, client: IpernityClient, bucket: Bucket) -> None:
    uri = f"s3://media@{bucket.name}/missing.jpg"
    assert failure(service, client, as_path(uri)) == f"{uri} does not exist. {SENT_NOTHING}"


def test_a_missing_bucket(service: Service, client: IpernityClient, bucket: Bucket) -> None:
    uri = "s3://media@no-such-bucket/boat.jpg"
    assert (
        failure(service, client, as_path(uri))
        == f"{uri} does not exist: there is no such bucket or container. {SENT_NOTHING}"
    )


@pytest.mark.parametrize("place", ["", "/2026"])
def test_a_folder(service: Service, client: IpernityClient, bucket: Bucket, place: str) -> None:
    bucket.put("2026/boat.jpg", b"boat")
    sentence = failure(service, client, as_path(f"s3://media@{bucket.name}{place}"))
    assert sentence.endswith(f"is a folder; a replacement needs one file. {SENT_NOTHING}")


def test_an_empty_object(service: Service, client: IpernityClient, bucket: Bucket) -> None:
    bucket.put("boat.jpg", b"")
    uri = f"s3://media@{bucket.name}/boat.jpg"
    assert failure(service, client, as_path(uri)) == f"{uri} is empty. {SENT_NOTHING}"


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
        f"{uri} cannot be read: its storage denies access (403); check the credentials of its connection, their rights, "
        f"and the name, for some storages say so of what does not exist. {SENT_NOTHING}"
    )


def test_settings_that_lead_nowhere(
    service: Service, client: IpernityClient, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BY_PROFILE", bucket.storage.connection(profile_name="nobodys"))
    uri = f"s3://by_profile@{bucket.name}/boat.jpg"
    assert failure(service, client, as_path(uri)) == (
        f"{uri} cannot be read: the settings of its storage are wrong (ProfileNotFound); check its connection. {SENT_NOTHING}"
    )


def test_a_storage_that_cannot_be_reached_is_left_to_a_retry(
    service: Service, client: IpernityClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", connection_to(f"http://127.0.0.1:{free_port()}"))
    uri = "s3://away@media/boat.jpg"
    assert failure(service, client, as_path(uri), SourceUnreadable) == (
        f"{uri} cannot be read: its storage cannot be reached or does not answer (EndpointConnectionError). {SENT_NOTHING}"
    )


WITHOUT_S3FS = """
import sys
sys.modules["s3fs"] = None  # as if it were not installed
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.source import examine
try:
    examine(as_path("s3://media/boat.jpg"), None, ())
except IpernityError as error:
    print(f"{error.kind}: {error}")
"""


def test_a_storage_whose_library_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_S3FS], capture_output=True, text=True, check=True)
    sentence = done.stdout.strip().splitlines()[-1]
    assert sentence.startswith(
        "permanent: s3://media/boat.jpg cannot be opened: Airflow FS S3 protocol requires"
    )
    assert sentence.endswith(f"pip install apache-airflow-providers-amazon[s3fs]. {SENT_NOTHING}")


# -- an object that is not left alone --------------------------------------------------------------------------------


def begun(client: IpernityClient, file: Any, meanwhile: Callable[[], None], journal: MemoryJournal) -> None:
    """An upload of which the first MiB is through when something else happens."""

    def progress(sent: int, size: int) -> None:
        if sent == MIB:
            meanwhile()

    begin(client, Order(doc_id=BOAT, file=file), journal, progress)


def test_an_object_that_vanishes_before_it_is_sent(
    service: Service, client: IpernityClient, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("boat.jpg", b"boat")
    asked = client.check_token

    def check_token() -> Any:
        bucket.delete("boat.jpg")
        return asked()

    monkeypatch.setattr(client, "check_token", check_token)
    uri = f"s3://media@{bucket.name}/boat.jpg"
    assert failure(service, client, as_path(uri), SourceUnreadable) == (
        "boat.jpg does not exist any more; nothing was replaced."
    )


def test_an_object_that_vanishes_while_it_is_sent(
    service: Service, client: IpernityClient, bucket: Bucket
) -> None:
    bucket.put("boat.jpg", bytes(20 * MIB))
    journal = MemoryJournal()
    file = as_path(f"s3://media@{bucket.name}/boat.jpg")
    with pytest.raises(
        SourceUnreadable, match=r"^boat\.jpg does not exist any more; nothing was replaced\.$"
    ):
        begun(client, file, lambda: bucket.delete("boat.jpg"), journal)
    assert service.ledger() == []
    assert journal.read() is None


def test_an_object_that_changes_while_it_is_sent(
    service: Service, client: IpernityClient, bucket: Bucket
) -> None:
    bucket.put("boat.jpg", bytes(20 * MIB))
    journal = MemoryJournal()
    file = as_path(f"s3://media@{bucket.name}/boat.jpg")
    with pytest.raises(
        SourceChanged, match=r"^boat\.jpg was changed while it was read; nothing was replaced\.$"
    ):
        begun(client, file, lambda: bucket.put("boat.jpg", b"\1" * (20 * MIB)), journal)
    assert service.ledger() == []
    assert journal.read() is None


def test_an_object_that_was_changed_since_its_folder_was_listed(
    service: Service, client: IpernityClient, bucket: Bucket, picture: Path
) -> None:
    bucket.put("boat.jpg", b"an older boat")
    (file,) = as_folder(f"s3://media@{bucket.name}/").iterdir()
    bucket.put("boat.jpg", picture.read_bytes())
    assert run(client, file).md5 == md5_of(picture)


# -- backups ---------------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr(client, "download", lambda _url: iter([b"not the original".ljust(MIB)] * blocks))
    with pytest.raises(Refused, match="what was fetched has md5"):
        run(client, picture, backup_to=as_folder(f"s3://media@{bucket.name}/backups"))
    assert service.ledger() == []
    assert bucket.stored() == []
    assert bucket.unfinished() == 0


def test_a_mistyped_bucket_is_not_made_for_a_backup(
    service: Service, client: IpernityClient, bucket: Bucket, picture: Path
) -> None:
    folder = as_folder("s3://media@no-such-bucket/backups")
    with pytest.raises(Refused) as caught:
        run(client, picture, backup_to=folder)
    assert str(caught.value) == (
        "No backup of document 5412, so nothing was sent: s3://media@no-such-bucket/backups does not exist: there is no "
        "such bucket or container. require_backup=False sends without one."
    )
    assert "no-such-bucket" not in [
        found["Name"] for found in bucket.storage.client().list_buckets()["Buckets"]
    ]
    assert service.ledger() == []


def test_a_bucket_that_must_not_be_written_to(
    service: Service,
    client: IpernityClient,
    bucket: Bucket,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STRANGER", bucket.storage.connection(bucket.storage.stranger))
    folder = as_folder(f"s3://stranger@{bucket.name}/backups")
    with pytest.raises(Refused, match="cannot be written: its storage denies access"):
        run(client, picture, backup_to=folder)
    assert run(client, picture, backup_to=folder, require_backup=False).outcome == "replaced"


def test_a_bucket_that_cannot_be_reached_is_left_to_a_retry(
    service: Service, client: IpernityClient, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GONE", connection_to(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(BackupNotStored, match="cannot be written: its storage cannot be reached"):
        run(client, picture, backup_to=as_folder("s3://gone@media/backups"))
    assert service.ledger() == []


# -- memory ----------------------------------------------------------------------------------------------------------


REPLACE_AND_MEASURE = """
import resource, sys
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement import Order, replace_file

url, key, secret, token, doc_id = sys.argv[1:]
with IpernityClient(key, secret, token=token, base_url=url) as client:
    def replaced(name):
        order = Order(doc_id=doc_id, file=as_path(f"s3://made@media/{name}"))
        result = replace_file(client, order, poll_interval=0.2)
        assert result.outcome == "replaced", result
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = replaced("small.jpg")  # pays for imports, buffers and the connections
    print(replaced("big.jpg") - before)
"""


def test_an_object_of_512_mib_raises_peak_memory_by_less_than_64_mib(
    service: Service, made: Callable[..., Made]
) -> None:
    made("small.jpg", MIB)
    stored = made("big.jpg", 512 * MIB, etag=f"{'0' * 32}-64")  # read for its checksum, and again to be sent
    command = [sys.executable, "-c", REPLACE_AND_MEASURE, service.url, API_KEY, API_SECRET, TOKEN, BOAT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown_kib = int(done.stdout.splitlines()[-1])
    assert [accepted["bytes"] for accepted in service.ledger()] == [MIB, 512 * MIB]
    assert stored.served == 2 * 512 * MIB
    assert grown_kib < 64 * 1024


# -- many ------------------------------------------------------------------------------------------------------------


def test_a_batch_of_objects_with_wrong_claims_is_sent_once_and_needs_no_volume_for_what_is_there(
    service: Service, client: IpernityClient, made: Callable[..., Made], tmp_path: Path
) -> None:
    """As with S3's encryption by KMS keys: the ETags look like MD5s and are none."""
    heads = [b"\xff\xd8\xff\xe0" + bytes([number]) for number in range(3)]
    objects = [made(f"{n}.jpg", 200_000, etag=f"{n:032x}", head=head) for n, head in enumerate(heads)]
    lines = []
    for number in range(3):
        (doc_id,) = service.add_documents([draw(tmp_path / "old.jpg", f"#{number:06x}")])
        lines.append(Line(str(doc_id), f"s3://made@media/{number}.jpg", None, f"line {number}"))
    wanted = BatchOrder(open_path=as_path, verify_seconds=2.0, resend_grace=4.0)
    for left in (10**6, 10):
        service.set(quota_left_bytes=left)
        journal = MemoryBatchJournal()
        plan = plan_all(client, wanted, journal, lines)
        assert require_possible(plan, wanted) == ""
        batch = Batch(client, wanted, journal, plan, poll_interval=0.3)
        batch.run(timeout=20)
        assert {item.outcome for item in batch.items} == {"replaced" if left > 10 else "unchanged"}
        for item, stored in zip(batch.items, objects, strict=True):
            assert item.md5 == hashlib.md5(stored.content()).hexdigest()
    assert len([entry for entry in service.ledger() if entry["method"] == "upload.replace"]) == 3
