"""A replacement from plan to proof, and what the service saw of it."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import AnswerLost, CredentialError, SourceUnreadable, Unreachable
from ipernity_provider.replacement import Journal, MemoryJournal, Order, Result, replace_file
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.order import (
    NewDocument,
    NotFinished,
    NotVerified,
    Refused,
    TicketInvalid,
    Uncertain,
)
from ipernity_provider.replacement.send import GivenUp
from scripts.rig import free_port, wait_for
from tests.conftest import API_KEY, API_SECRET, BOAT, TOKEN, Service

KEYS = [
    "outcome",
    "doc_id",
    "ticket",
    "new_doc_id",
    "filename",
    "bytes",
    "md5",
    "verified_by",
    "url",
    "backup",
    "reason",
]


def md5_of(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def run(client: IpernityClient, file: Path, journal: Journal | None = None, **options: Any) -> Result:
    timeout = options.pop("timeout", 20.0)
    options = {"resend_grace": 1.5, "verify_seconds": 3.0, **options}
    order = Order(doc_id=options.pop("doc_id", BOAT), file=file, **options)
    return replace_file(client, order, journal, poll_interval=0.1, timeout=timeout)


# -- the straight way ------------------------------------------------------------------------------------------------


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
    assert (result.outcome, result.verified_by, result.ticket) == ("replaced", "md5", accepted["ticket"])
    assert list(json.loads(json.dumps(result.as_dict()))) == KEYS


@pytest.mark.parametrize("reply", ["both", "ticket", "doc_id"])
def test_a_synchronous_upload_may_answer_in_three_ways(
    service: Service, client: IpernityClient, picture: Path, reply: str
) -> None:
    service.set(sync_reply=reply)
    result = run(client, picture, asynchronous=False)
    assert (result.outcome, result.verified_by) == ("replaced", "md5")
    assert len(service.ledger()) == 1


def test_an_unchanged_file_costs_no_upload(service: Service, client: IpernityClient, picture: Path) -> None:
    assert run(client, picture).outcome == "replaced"
    second = run(client, picture)
    assert (second.outcome, second.verified_by, second.ticket) == ("unchanged", "md5", None)
    assert len(service.ledger()) == 1
    assert list(second.as_dict()) == KEYS


def test_an_unchanged_file_can_be_sent_all_the_same(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    run(client, picture)
    assert run(client, picture, if_unchanged="replace").outcome == "replaced"
    assert len(service.ledger()) == 2


def test_a_dry_run_says_what_would_happen_and_sends_nothing(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    planned = run(client, picture, dry_run=True)
    assert planned.outcome == "planned"
    assert md5_of(picture) in planned.reason
    assert "replaces the file of document 5412" in planned.reason
    assert service.ledger() == []
    assert list(planned.as_dict()) == KEYS


# -- an answer that is lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "after_accepting"),
    [
        ("drop_after_accepting", False),
        ("code:500", True),
        ("truncated", False),
        ("html", True),
        ("http:502", True),
    ],
)
def test_an_upload_whose_answer_is_lost_is_found_and_not_sent_again(
    service: Service, client: IpernityClient, picture: Path, kind: str, after_accepting: bool
) -> None:
    service.fail(kind, "upload.replace", after_accepting=after_accepting)
    result = run(client, picture)
    assert (result.outcome, result.verified_by, result.ticket) == ("replaced", "md5", None)
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("kind", ["drop_before_reading", "code:500", "html", "http:502"])
def test_an_upload_that_did_not_arrive_is_sent_again_after_its_grace(
    service: Service, client: IpernityClient, picture: Path, kind: str
) -> None:
    service.fail(kind, "upload.replace")
    result = run(client, picture)
    assert (result.outcome, result.verified_by) == ("replaced", "md5")
    assert len(service.ledger()) == 1
    assert service.calls()["upload.replace"] == 2


def test_sending_again_has_an_end(service: Service, client: IpernityClient, picture: Path) -> None:
    service.fail("drop_before_reading", "upload.replace", times=9)
    journal = MemoryJournal()
    with pytest.raises(AnswerLost, match="2 times and did not arrive"):
        run(client, picture, journal, resend_grace=0.1)
    assert service.calls()["upload.replace"] == 2
    assert service.ledger() == []
    assert journal.read() is None


def test_a_lost_answer_that_hid_a_new_document_is_found_by_its_bytes(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    service.fail("drop_after_accepting", "upload.replace")
    with pytest.raises(NewDocument, match="instead of replacing"):
        run(client, picture)
    assert len(service.ledger()) == 1


def test_bytes_that_another_document_had_before_are_no_sign_of_arrival(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    client.upload_file(picture, asynchronous=False)
    service.fail("drop_before_reading", "upload.replace")
    assert run(client, picture).outcome == "replaced"
    assert [accepted["method"] for accepted in service.ledger()] == ["upload.file", "upload.replace"]


def test_if_nobody_can_tell_nothing_more_is_sent(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    service.fail("drop_after_accepting", "upload.replace")
    with pytest.raises(Uncertain, match=r"does not tell whether it arrived.*on_uncertain=\"send\""):
        run(client, picture)
    assert len(service.ledger()) == 1


def test_if_nobody_can_tell_it_is_sent_again_on_request(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    service.fail("drop_after_accepting", "upload.replace")
    assert run(client, picture, on_uncertain="send").verified_by == "replaced_at"
    assert len(service.ledger()) == 2


# -- what an earlier try has left ------------------------------------------------------------------------------------


class Crash(BaseException):
    """Stands for the end of the process."""


class CrashingJournal(MemoryJournal):
    """Ends the process at the n-th write, before or after it is kept."""

    def __init__(self, at_write: int, *, kept: bool) -> None:
        super().__init__()
        self._writes_left, self._kept = at_write, kept

    def write(self, entry: Entry) -> None:
        self._writes_left -= 1
        if self._kept or self._writes_left:
            super().write(entry)
        if not self._writes_left:
            raise Crash


@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
@pytest.mark.parametrize("at_write", [1, 2], ids=["intent", "ticket"])
def test_a_try_after_a_crash_goes_on_where_the_last_one_was_cut_off(
    service: Service, client: IpernityClient, picture: Path, at_write: int, kept: bool
) -> None:
    journal = CrashingJournal(at_write, kept=kept)
    with pytest.raises(Crash):
        run(client, picture, journal)
    result = run(client, picture, journal)
    assert (result.outcome, result.verified_by) == ("replaced", "md5")
    assert len(service.ledger()) == 1


def test_the_journal_survives_as_json(service: Service, client: IpernityClient, picture: Path) -> None:
    journal = MemoryJournal()
    run(client, picture, journal)
    entry = journal.read()
    assert entry is not None
    assert Entry.from_json(json.loads(json.dumps(entry.to_json()))) == entry


def test_a_changed_file_starts_anew(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    journal = MemoryJournal()
    run(client, picture, journal)
    assert run(client, other_picture, journal).md5 == md5_of(other_picture)
    assert [accepted["md5"] for accepted in service.ledger()] == [md5_of(picture), md5_of(other_picture)]


@pytest.mark.parametrize("forced", [False, True])
def test_an_upload_of_other_bytes_is_let_end_before_ours_begins(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path, forced: bool
) -> None:
    """Processed later, its bytes would take the place of ours, behind a green task."""
    journal = MemoryJournal()
    service.set(processing_seconds=3)
    with pytest.raises(NotFinished):
        run(client, picture, journal, timeout=0.1)
    service.set(processing_seconds=0.1)
    options = {"force": True, "run": "2"} if forced else {}
    assert run(client, other_picture, journal, resend_grace=20.0, **options).outcome == "replaced"
    time.sleep(3)
    assert client.get_document(BOAT).md5 == md5_of(other_picture)
    assert len(service.ledger()) == 2


def test_an_upload_of_other_bytes_without_an_answer_is_let_end_too(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    class Killed(BaseException):
        pass

    class Dying(MemoryJournal):
        def write(self, entry: Entry) -> None:
            if entry.answered:
                raise Killed
            super().write(entry)

    dying, journal = Dying(), MemoryJournal()
    service.set(processing_seconds=3)
    with pytest.raises(Killed):
        run(client, picture, dying)
    intent = dying.read()
    assert intent
    journal.write(intent.renewed())
    service.set(processing_seconds=0.1)
    assert run(client, other_picture, journal, resend_grace=60.0).outcome == "replaced"
    time.sleep(3)
    assert client.get_document(BOAT).md5 == md5_of(other_picture)
    assert len(service.ledger()) == 2


def test_an_upload_of_other_bytes_that_is_stuck_is_not_waited_for_for_ever(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    journal = MemoryJournal()
    service.set(processing_seconds=600)
    with pytest.raises(NotFinished):
        run(client, picture, journal, timeout=0.1)
    service.set(processing_seconds=0.1)
    assert run(client, other_picture, journal, resend_grace=1.5).outcome == "replaced"
    assert len(service.ledger()) == 2


def test_a_new_document_by_an_upload_of_other_bytes_is_not_followed_by_another(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    journal = MemoryJournal()
    service.set(processing_seconds=1, replace_mode="new_document")
    with pytest.raises(NotFinished):
        run(client, picture, journal, timeout=0.1)
    with pytest.raises(NewDocument):
        run(client, other_picture, journal, resend_grace=20.0)
    assert len(service.ledger()) == 1


def test_another_document_starts_anew(service: Service, client: IpernityClient, picture: Path) -> None:
    journal = MemoryJournal()
    other = client.upload_file(picture, asynchronous=False).doc_id
    assert other is not None
    run(client, picture, journal)
    run(client, picture, journal, doc_id=other, if_unchanged="replace")
    assert [accepted["doc_id"] for accepted in service.ledger()] == [None, BOAT, other]


def test_a_cleared_task_attaches_to_its_upload_unless_it_is_forced(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = MemoryJournal()
    run(client, picture, journal, run="2")
    assert run(client, picture, journal, run="3").outcome == "replaced"
    assert len(service.ledger()) == 1
    assert run(client, picture, journal, run="3", force=True).outcome == "replaced"
    assert len(service.ledger()) == 2


def test_a_retry_of_a_forced_task_does_not_send_again(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = MemoryJournal()
    service.fail("code:107", "upload.checkTickets")
    with pytest.raises(CredentialError):
        run(client, picture, journal, run="3", force=True)
    assert run(client, picture, journal, run="3", force=True).outcome == "replaced"
    assert len(service.ledger()) == 1


@pytest.mark.parametrize(
    ("code", "kind", "doubtful"),
    [(113, "RateLimited", True), (503, "ServiceDown", True), (3, "QuotaExceeded", False)],
)
def test_an_upload_that_is_refused_leaves_no_doubt_behind_unless_it_may_have_arrived(
    service: Service, client: IpernityClient, picture: Path, code: int, kind: str, doubtful: bool
) -> None:
    journal = MemoryJournal()
    service.fail(f"code:{code}", "upload.replace")
    with pytest.raises(Exception, match=f"code {code}") as caught:
        run(client, picture, journal)
    assert type(caught.value).__name__ == kind
    assert (journal.read() is not None) is doubtful
    assert run(client, picture, journal).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_an_unreachable_service_leaves_no_doubt_behind(picture: Path) -> None:
    journal = MemoryJournal()
    with (
        IpernityClient(
            API_KEY, API_SECRET, token=TOKEN, base_url=f"http://127.0.0.1:{free_port()}", attempts=1
        ) as client,
        pytest.raises(Unreachable),
    ):
        run(client, picture, journal)
    assert journal.read() is None


def test_a_try_that_takes_over_waits_for_a_process_that_is_still_sending(
    service: Service, client: IpernityClient, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that Airflow has given up for dead may live on."""
    monkeypatch.setattr("ipernity_provider.replacement.send.SIGN_OF_LIFE_SECONDS", 0.2)
    with picture.open("ab") as out:
        out.write(bytes(32 << 20))
    service.set(receive_bytes_per_second=10 << 20)
    journal = MemoryJournal()
    with ThreadPoolExecutor() as processes:
        given_up = processes.submit(run, client, picture, journal, resend_grace=1.5)
        wait_for("the intent", journal.read, 10, every=0.01)
        takes_over = processes.submit(run, client, picture, journal, resend_grace=1.5)
        assert [given_up.result().outcome, takes_over.result().outcome] == ["replaced", "replaced"]
    assert len(service.ledger()) == 1


def test_a_processs_own_signs_of_life_are_not_taken_for_anothers(
    service: Service,
    client: IpernityClient,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("ipernity_provider.replacement.send.SIGN_OF_LIFE_SECONDS", 0.0)
    service.fail("drop_after_accepting", "upload.replace")
    assert run(client, picture, MemoryJournal()).outcome == "replaced"
    assert "Another process" not in caplog.text


def test_a_process_that_cannot_write_its_journal_any_more_stops_sending(
    service: Service, client: IpernityClient, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipernity_provider.replacement.send.SIGN_OF_LIFE_SECONDS", 0.0)

    class CutOff(MemoryJournal):
        def write(self, entry: Entry) -> None:
            if self.read():
                raise BrokenPipeError("Airflow has gone")
            super().write(entry)

    with pytest.raises(GivenUp, match="the upload was broken off"):
        run(client, picture, CutOff(), resend_grace=0.1)
    assert service.ledger() == []


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_an_eta_that_lies_does_not_delay_the_end(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(eta_seconds=360)
    assert run(client, picture, timeout=5.0).outcome == "replaced"


def test_waiting_outlasts_transient_errors(service: Service, client: IpernityClient, picture: Path) -> None:
    service.fail("code:503", "upload.checkTickets", times=5)
    assert run(client, picture).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_waiting_has_an_end_and_a_retry_goes_on_waiting(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(processing_seconds=2.0)
    journal = MemoryJournal()
    with pytest.raises(NotFinished, match=r"not finished within the timeout of 0\.3 s\. The upload is safe"):
        run(client, picture, journal, timeout=0.3)
    assert run(client, picture, journal).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_an_invalid_ticket_fails_and_does_not_stick_to_the_task(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(invalid_next=1)
    journal = MemoryJournal()
    with pytest.raises(
        TicketInvalid, match=r"Ticket \S+ is invalid: the service took boat-new\.jpg for document 5412"
    ):
        run(client, picture, journal)
    assert run(client, picture, journal).outcome == "replaced"
    assert len(service.ledger()) == 2


def test_a_ticket_that_the_service_has_forgotten_is_no_failure(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = MemoryJournal()
    run(client, picture, journal)
    service.set(forget_tickets_after_seconds=0)
    result = run(client, picture, journal)
    assert (result.outcome, result.verified_by) == ("replaced", "md5")
    assert len(service.ledger()) == 1


# -- proof -----------------------------------------------------------------------------------------------------------


def test_a_new_document_fails_and_both_are_named(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    before = client.get_document(BOAT).md5
    with pytest.raises(NewDocument) as caught:
        run(client, picture)
    (accepted,) = service.ledger()
    for words in (
        accepted["new_doc_id"],
        BOAT,
        f"/doc/1234/{BOAT}",
        f"/doc/1234/{accepted['new_doc_id']}",
        "Nothing was deleted",
    ):
        assert words in str(caught.value)
    assert client.get_document(BOAT).md5 == before


def test_a_new_document_can_be_kept(service: Service, client: IpernityClient, picture: Path) -> None:
    service.set(replace_mode="new_document")
    result = run(client, picture, on_new_document="keep", verify="md5")
    (accepted,) = service.ledger()
    assert (result.outcome, result.doc_id, result.new_doc_id) == (
        "new_document",
        BOAT,
        accepted["new_doc_id"],
    )
    assert result.verified_by == "md5"
    assert result.url == f"{service.url}/doc/1234/{result.new_doc_id}"


def test_rewritten_bytes_pass_by_the_date_and_are_visible(
    service: Service, client: IpernityClient, picture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.set(rewrite_bytes=True)
    assert run(client, picture).verified_by == "replaced_at"
    assert "stores other bytes than were sent" in caplog.text


@pytest.mark.parametrize("verify", ["md5", "size"])
def test_rewritten_bytes_fail_where_better_proof_is_demanded(
    service: Service, client: IpernityClient, picture: Path, verify: str
) -> None:
    service.set(rewrite_bytes=True)
    with pytest.raises(NotVerified, match=f"proof reached: replaced_at, demanded: {verify}"):
        run(client, picture, verify=verify, verify_seconds=0.5)
    assert len(service.ledger()) == 1


@pytest.mark.parametrize(("member", "proof"), [("original", "md5"), ("none", "bytes")])
def test_the_best_proof_is_taken_that_the_answers_allow(
    service: Service, client: IpernityClient, picture: Path, member: str, proof: str
) -> None:
    service.set(md5_member=member)
    assert run(client, picture).verified_by == proof


def test_without_a_checksum_md5_cannot_be_proven(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(md5_member="none")
    with pytest.raises(NotVerified, match="md5 unknown; proof reached: bytes, demanded: md5"):
        run(client, picture, verify="md5", verify_seconds=0.5)


def test_no_proof_is_asked_for_on_request(service: Service, client: IpernityClient, picture: Path) -> None:
    service.set(rewrite_bytes=True)
    result = run(client, picture, verify="none")
    assert (result.outcome, result.verified_by) == ("replaced", None)


# -- bad orders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("doc_id", ["", "abc", "https://www.ipernity.com/doc/1234/album/5412"])
def test_a_document_is_named_by_its_number(client: IpernityClient, picture: Path, doc_id: str) -> None:
    with pytest.raises(Refused, match=r"^doc_id is .*\. Nothing was sent\.$"):
        run(client, picture, doc_id=doc_id)


@pytest.mark.parametrize("option", ["if_unchanged", "verify", "on_new_document", "on_uncertain"])
def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(
    client: IpernityClient, picture: Path, option: str
) -> None:
    with pytest.raises(Refused, match=f"{option} is 'perhaps': choose one of '"):
        run(client, picture, None, **{option: "perhaps"})


def test_a_file_that_vanishes_between_hash_and_send_is_left_to_a_retry(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    class VanishesBeforeTheUpload(MemoryJournal):
        def write(self, entry: Entry) -> None:
            super().write(entry)
            picture.unlink(missing_ok=True)

    journal = VanishesBeforeTheUpload()
    with pytest.raises(SourceUnreadable, match=r"boat-new\.jpg does not exist"):
        run(client, picture, journal)
    assert service.ledger() == []
    assert journal.read() is None
