"""One replacement from top to bottom, tried again and cleared, and what the service saw of it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import CredentialError
from ipernity_provider.replacement.errors import (
    NewDocument,
    NotFinished,
    NotVerified,
    OtherUploadPending,
    Uncertain,
)
from ipernity_provider.replacement.record import MemoryJournal, UploadRecord
from ipernity_provider.replacement.replace import replace_file
from ipernity_provider.replacement.request import Intent, ReplaceOptions, ReplaceRequest
from tests.conftest import BOAT, Service, draw
from tests.replacement.support import WRITES, Crash, CrashingJournal, FastClock, md5_of, run, sent

KEYS = [
    "outcome",
    "doc_id",
    "ticket",
    "new_doc_id",
    "filename",
    "bytes",
    "md5",
    "proof",
    "url",
    "backup",
    "reason",
    "new_url",
    "transferred",
    "not_transferred",
]
FIRST, CLEARED = Intent("2"), Intent("5")


def wait_until_processed(service: Service) -> None:
    """Wait until the service has ended each ticket."""
    with service.client() as client:
        while any(
            ticket.pending for ticket in client.check_tickets(e["ticket"] for e in service.ledger())
        ):
            time.sleep(0.05)


# -- the straight way ------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["signature", "oauth"])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_replacement_is_sent_once_and_proven(
    service: Service, picture: Path, auth: str, asynchronous: bool
) -> None:
    with service.client(auth) as client:
        result = run(client, picture, asynchronous=asynchronous)
        assert client.get_document(BOAT).md5 == md5_of(picture)
    (accepted,) = service.ledger()
    assert (accepted["method"], accepted["doc_id"], accepted["md5"]) == (
        "upload.replace",
        BOAT,
        md5_of(picture),
    )
    assert (result.outcome, result.proof, result.ticket) == ("replaced", "md5", accepted["ticket"])
    assert list(json.loads(json.dumps(result.as_dict()))) == KEYS


def test_a_program_without_a_journal_needs_one_call(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    request = ReplaceRequest(doc_id="0005412", file=picture, filename="boat.jpg")
    result = replace_file(client, request, ReplaceOptions(poll_interval=0.1))
    assert (result.outcome, result.doc_id, result.filename) == ("replaced", BOAT, "boat.jpg")
    assert service.ledger()[0]["filename"] == "boat.jpg"


@pytest.mark.parametrize("reply", ["both", "ticket", "doc_id"])
def test_a_synchronous_upload_may_answer_in_three_ways(
    service: Service, client: IpernityClient, picture: Path, reply: str
) -> None:
    service.set(sync_reply=reply)
    result = run(client, picture, asynchronous=False)
    assert (result.outcome, result.proof) == ("replaced", "md5")
    assert len(service.ledger()) == 1


def test_an_unchanged_file_costs_no_upload(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    assert run(client, picture).outcome == "replaced"
    second = run(client, picture)
    assert (second.outcome, second.proof, second.ticket) == ("unchanged", "md5", None)
    assert len(service.ledger()) == 1
    assert list(second.as_dict()) == KEYS


def test_an_unchanged_file_is_sent_on_request(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    run(client, picture)
    assert run(client, picture, if_unchanged="replace").outcome == "replaced"
    assert len(service.ledger()) == 2


def test_a_dry_run_says_what_would_happen_and_sends_nothing(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    planned = run(client, picture, dry_run=True)
    assert (planned.outcome, planned.md5) == ("planned", md5_of(picture))
    assert planned.reason.startswith(
        f"boat-new.jpg ({picture.stat().st_size} bytes) replaces the file of document {BOAT} ("
    )
    assert service.ledger() == []
    assert list(planned.as_dict()) == KEYS


# -- waiting ---------------------------------------------------------------------------------------


def test_an_eta_that_lies_does_not_delay_the_end(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(eta_seconds=360)
    assert run(client, picture, timeout=60.0, poll_interval=30.0).outcome == "replaced"


def test_waiting_goes_on_through_transient_errors(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.fail("code:503", "upload.checkTickets", times=5)
    assert run(client, picture).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_waiting_has_an_end_and_a_retry_continues_to_wait(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(processing_seconds=1.0)
    journal = MemoryJournal()
    with pytest.raises(
        NotFinished, match=r"not finished within the timeout of 3 s\. The upload is safe"
    ):
        run(client, picture, journal, timeout=3.0)
    assert run(client, picture, journal).outcome == "replaced"
    assert len(service.ledger()) == 1


# -- a retry ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
@pytest.mark.parametrize("at_write", WRITES)
def test_a_retry_after_a_crash_continues_where_the_last_try_was_cut_off(
    service: Service, client: IpernityClient, picture: Path, at_write: str, kept: bool
) -> None:
    journal = CrashingJournal(at_write, kept=kept)
    with pytest.raises(Crash):
        run(client, picture, journal)
    result = run(client, picture, journal)
    assert (result.outcome, result.proof) == ("replaced", "md5")
    assert len(service.ledger()) == 1


def test_a_retry_after_success_returns_the_recorded_result(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = MemoryJournal()
    first = run(client, picture, journal)
    before = service.calls()
    assert run(client, picture, journal) == first
    assert service.calls() == before


def test_a_retry_that_demands_more_than_was_proven_is_not_green(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    journal = MemoryJournal()
    assert run(client, picture, journal, proof="changed").proof == "changed"
    with pytest.raises(NotVerified, match="demanded proof: md5"):
        run(client, picture, journal, proof="md5")


def test_a_ticket_that_the_service_has_forgotten_is_not_a_failure(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = MemoryJournal()
    sent(client, picture, journal)
    wait_until_processed(service)
    service.set(forget_tickets_after_seconds=0)
    assert run(client, picture, journal).proof == "md5"
    assert len(service.ledger()) == 1


def test_a_changed_file_is_sent(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    journal = MemoryJournal()
    run(client, picture, journal)
    assert run(client, other_picture, journal).md5 == md5_of(other_picture)
    assert [accepted["md5"] for accepted in service.ledger()] == [
        md5_of(picture),
        md5_of(other_picture),
    ]


def test_another_document_is_asked_whether_it_has_the_file_and_gets_it(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path
) -> None:
    """The tasks of a map may have changed places since the record was written."""
    (other,) = service.add_documents([draw(tmp_path / "other.jpg", "#abcdef")])
    journal = MemoryJournal()
    run(client, picture, journal)
    assert run(client, picture, journal, doc_id=other).outcome == "replaced"
    assert [accepted["doc_id"] for accepted in service.ledger()] == [None, BOAT, other]


# -- an earlier upload of other bytes --------------------------------------------------------------


def test_an_upload_of_other_bytes_that_is_pending_is_not_followed_by_ours(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    """Processed later, its bytes would take the place of ours, behind a green task."""
    journal = MemoryJournal()
    service.set(processing_seconds=1)
    sent(client, picture, journal)
    for intent in (Intent(), CLEARED):
        with pytest.raises(OtherUploadPending, match=r"not settled yet.*Nothing was sent"):
            run(client, other_picture, journal, intent=intent)
    assert len(service.ledger()) == 1
    wait_until_processed(service)
    assert run(client, other_picture, journal).outcome == "replaced"
    assert client.get_document(BOAT).md5 == md5_of(other_picture)
    assert len(service.ledger()) == 2


def test_so_is_one_whose_answer_is_not_known(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    journal = CrashingJournal("answer", kept=False)
    service.set(processing_seconds=1)
    with pytest.raises(Crash):
        run(client, picture, journal)
    with pytest.raises(OtherUploadPending, match=r"\(ticket unknown\)"):
        run(client, other_picture, journal)
    wait_until_processed(service)
    assert run(client, other_picture, journal).outcome == "replaced"
    assert client.get_document(BOAT).md5 == md5_of(other_picture)
    assert len(service.ledger()) == 2


def test_an_upload_of_other_bytes_that_hangs_is_given_up_after_its_grace(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    journal, clock = MemoryJournal(), FastClock()
    service.set(processing_seconds=600)
    sent(client, picture, journal, clock=clock)
    service.set(processing_seconds=0.1)
    clock.skip(20.0)
    assert run(client, other_picture, journal, clock=clock).outcome == "replaced"
    assert len(service.ledger()) == 2


# -- a cleared task --------------------------------------------------------------------------------


def test_a_cleared_task_runs_again_and_equal_bytes_cost_no_upload(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = MemoryJournal()
    run(client, picture, journal, intent=FIRST)
    assert run(client, picture, journal, intent=CLEARED).outcome == "unchanged"
    assert len(service.ledger()) == 1


def test_a_cleared_task_that_replaces_equal_bytes_sends_once_and_its_retry_does_not(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = MemoryJournal()
    run(client, picture, journal, intent=FIRST)
    service.fail("code:107", "upload.checkTickets")
    with pytest.raises(CredentialError):
        run(client, picture, journal, intent=CLEARED, if_unchanged="replace")
    result = run(client, picture, journal, intent=CLEARED, if_unchanged="replace")
    assert result.outcome == "replaced"
    assert len(service.ledger()) == 2


def test_a_cleared_task_continues_with_an_upload_that_is_pending(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = MemoryJournal()
    service.set(processing_seconds=0.5)
    sent(client, picture, journal, intent=FIRST)
    assert run(client, picture, journal, intent=CLEARED).outcome == "replaced"
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("restored", [False, True])
def test_a_cleared_task_is_not_green_by_what_was_put_there_since(
    service: Service,
    client: IpernityClient,
    picture: Path,
    other_picture: Path,
    tmp_path: Path,
    restored: bool,
) -> None:
    journal = MemoryJournal()
    backup = run(client, picture, journal, intent=FIRST, backup_to=tmp_path / "backups").backup
    assert backup is not None
    run(client, Path(backup) if restored else other_picture)
    result = run(client, picture, journal, intent=CLEARED)
    assert (result.outcome, result.proof) == ("replaced", "md5")
    assert client.get_document(BOAT).md5 == md5_of(picture)
    assert len(service.ledger()) == 3


def test_a_cleared_task_whose_upload_was_rejected_sends_again(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    journal = MemoryJournal()
    for _ in range(2):  # a retry looks again, and sends nothing
        with pytest.raises(NotVerified):
            run(client, picture, journal, intent=FIRST)
    assert len(service.ledger()) == 1
    service.set(rewrite_bytes=False)
    assert run(client, picture, journal, intent=CLEARED).proof == "md5"
    assert len(service.ledger()) == 2


def test_a_cleared_task_fails_again_by_a_new_document_until_that_is_gone(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document", permissions={"doc": "delete"})
    journal = MemoryJournal()
    with pytest.raises(NewDocument) as first:
        run(client, picture, journal, intent=FIRST)
    with pytest.raises(NewDocument) as again:
        run(client, picture, journal, intent=CLEARED)
    assert again.value.new_doc_id == first.value.new_doc_id
    assert len(service.ledger()) == 1
    client.call("doc.delete", doc_id=first.value.new_doc_id)
    service.set(replace_mode="in_place")
    assert run(client, picture, journal, intent=CLEARED).outcome == "replaced"
    assert len(service.ledger()) == 2


# -- without a journal -----------------------------------------------------------------------------


def retried_since(began: float) -> Intent:
    return Intent(since=began, without_journal=True)


def test_without_a_journal_a_retry_does_not_wait_for_what_is_there(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    began, clock = time.time(), FastClock()
    run(client, picture)
    started = clock.monotonic()
    result = run(client, picture, intent=retried_since(began), clock=clock, resend_grace=3600.0)
    assert result.outcome == "unchanged"
    assert clock.monotonic() - started < 600
    assert len(service.ledger()) == 1


def test_without_a_journal_a_retry_asks_before_it_sends(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    began = time.time()
    client.upload_replace(
        BOAT, picture
    )  # what an earlier try has sent; the service is still working on it
    assert run(client, picture, intent=retried_since(began)).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_without_a_journal_a_retry_sends_what_did_not_arrive(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    assert run(client, picture, intent=retried_since(time.time())).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_without_a_journal_and_with_other_bytes_a_retry_cannot_tell(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    began = time.time()
    client.upload_replace(BOAT, picture, asynchronous=False)
    with pytest.raises(Uncertain):
        run(client, picture, intent=retried_since(began))
    assert len(service.ledger()) == 1


def test_a_mapped_task_of_a_cleared_run_looks_once_for_what_another_task_has_sent(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    began = time.time() - 1
    client.upload_replace(BOAT, picture, asynchronous=False)
    with pytest.raises(NewDocument):
        run(client, picture, intent=Intent("5", since=began, others_cleared=True))
    assert len(service.ledger()) == 1


# -- what is between two steps ---------------------------------------------------------------------


def test_a_caller_that_does_not_wait_gets_the_ticket(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    record = sent(client, picture, MemoryJournal())
    result = record.sent()
    assert (result.outcome, result.ticket, result.proof) == (
        "sent",
        service.ledger()[0]["ticket"],
        None,
    )
    assert UploadRecord.from_json(json.loads(json.dumps(asdict(record)))) == record
