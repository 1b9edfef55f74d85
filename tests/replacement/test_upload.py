"""An upload is sent once: lost answers, refusals, other processes, and the order to stop."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import AnswerLost, IpernityError, SourceUnreadable, Unreachable
from ipernity_provider.replacement.errors import (
    Cancelled,
    NewDocument,
    TicketNotStored,
    Uncertain,
    UploadAborted,
)
from ipernity_provider.replacement.record import MemoryJournal, UploadRecord
from scripts.rig import free_port, wait_for
from tests.conftest import API_KEY, API_SECRET, BOAT, TOKEN, Service, draw
from tests.replacement.support import Crash, CrashingJournal, FastClock, md5_of, replacement, run

MIB = 1 << 20


def enlarge(picture: Path, mib: int) -> Path:
    """Add bytes behind the picture's end: more than a connection's buffers hold, to break it."""
    with picture.open("ab") as out:
        out.write(bytes(mib * MIB))
    return picture


# -- an answer that is lost ------------------------------------------------------------------------


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
    assert (result.outcome, result.proof, result.ticket) == ("replaced", "md5", None)
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("kind", ["code:500", "html", "http:502"])
def test_an_upload_that_did_not_arrive_is_sent_again_after_its_grace(
    service: Service, client: IpernityClient, picture: Path, kind: str
) -> None:
    clock = FastClock()
    started = clock.monotonic()
    service.fail(kind, "upload.replace")
    result = run(client, picture, clock=clock)
    assert (result.outcome, result.proof) == ("replaced", "md5")
    assert clock.monotonic() - started >= 20.0
    assert len(service.ledger()) == 1
    assert service.calls()["upload.replace"] == 2


def test_an_upload_that_breaks_in_the_middle_is_sent_again_without_waiting(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    clock = FastClock()
    started = clock.monotonic()
    service.fail("drop_before_reading", "upload.replace")
    assert (
        run(client, enlarge(picture, 48), resend_grace=36000.0, clock=clock).outcome == "replaced"
    )
    assert clock.monotonic() - started < 36000
    assert len(service.ledger()) == 1
    assert service.calls()["upload.replace"] == 2


def test_sending_again_has_an_end(service: Service, client: IpernityClient, picture: Path) -> None:
    service.fail("drop_before_reading", "upload.replace", times=9)
    with pytest.raises(AnswerLost, match="2 times and did not arrive"):
        run(client, picture)
    assert service.calls()["upload.replace"] == 2
    assert service.ledger() == []


def test_a_lost_answer_that_hid_a_new_document_is_found_by_its_bytes(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    service.fail("drop_after_accepting", "upload.replace")
    with pytest.raises(NewDocument, match="instead of replacing") as caught:
        run(client, picture)
    (accepted,) = service.ledger()
    assert caught.value.new_doc_id == accepted["new_doc_id"]


def test_so_it_is_where_the_document_carried_the_bytes_before(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    run(client, picture)
    time.sleep(1.1)  # times are whole seconds
    service.set(replace_mode="new_document")
    service.fail("drop_after_accepting", "upload.replace")
    with pytest.raises(NewDocument) as caught:
        run(client, picture, if_unchanged="replace")
    assert caught.value.new_doc_id == service.ledger()[1]["new_doc_id"]
    assert len(service.ledger()) == 2


@pytest.mark.parametrize("on_uncertain", ["fail", "send"])
def test_a_new_document_without_a_ticket_is_not_kept_as_ones_own(
    service: Service, client: IpernityClient, picture: Path, on_uncertain: str
) -> None:
    """Another task may have created it with the same file."""
    service.set(replace_mode="new_document")
    service.fail("drop_after_accepting", "upload.replace")
    if on_uncertain == "fail":
        with pytest.raises(
            Uncertain,
            match=r"Document 1000\d was created since the upload .* nothing more was sent",
        ):
            run(client, picture, on_new_document="keep")
        assert len(service.ledger()) == 1
    else:
        result = run(client, picture, on_new_document="keep", on_uncertain="send")
        assert (result.outcome, result.new_doc_id) == (
            "new_document",
            service.ledger()[1]["new_doc_id"],
        )
        assert len(service.ledger()) == 2


def test_bytes_that_another_document_had_before_are_not_a_sign_of_arrival(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.add_documents([picture])
    time.sleep(1.1)  # times are whole seconds
    service.fail("drop_before_reading", "upload.replace")
    assert run(client, picture).outcome == "replaced"
    assert [accepted["method"] for accepted in service.ledger()] == [
        "upload.file",
        "upload.replace",
    ]


def test_the_same_file_of_another_document_is_not_taken_for_a_new_one(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path
) -> None:
    (other,) = service.add_documents([draw(tmp_path / "other.jpg", "#abcdef")])
    time.sleep(1.1)
    journal = CrashingJournal("last block")
    with pytest.raises(Crash):
        run(client, picture, journal, on_new_document="keep")
    run(
        client, picture, doc_id=other
    )  # another task replaces another document by the same file meanwhile
    result = run(client, picture, journal, on_new_document="keep")
    assert (result.outcome, result.doc_id) == ("replaced", BOAT)
    assert client.get_document(BOAT).md5 == md5_of(picture)


def test_a_new_document_with_other_bytes_is_doubt_and_not_absence(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document", rewrite_bytes=True)
    service.fail("drop_after_accepting", "upload.replace")
    with pytest.raises(Uncertain):
        run(client, picture, on_new_document="keep")
    assert len(service.ledger()) == 1


def test_if_the_service_does_not_show_whether_it_arrived_nothing_more_is_sent(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    service.fail("drop_after_accepting", "upload.replace")
    with pytest.raises(Uncertain, match=r"does not show whether it arrived.*on_uncertain='send'"):
        run(client, picture)
    assert len(service.ledger()) == 1


def test_if_the_service_does_not_show_whether_it_arrived_it_is_sent_again_on_request(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    service.fail("drop_after_accepting", "upload.replace")
    assert run(client, picture, on_uncertain="send", proof="changed").proof == "changed"
    assert len(service.ledger()) == 2


def test_a_replacement_in_the_second_of_the_last_one_is_doubt_and_not_absence(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(processing_seconds=0.01)
    while True:
        run(client, picture, if_unchanged="replace", asynchronous=False)
        document = client.get_document(BOAT)
        if document.asked_at == document.replaced_at:
            break
    before = len(service.ledger())
    service.fail("drop_after_accepting", "upload.replace")
    # Uncertain, if all of it fell into one second; else the date has told.
    with contextlib.suppress(Uncertain):
        run(client, picture, if_unchanged="replace")
    assert len(service.ledger()) == before + 1


# -- what the client says of a lost answer ---------------------------------------------------------


class ForwardingProxy:
    """An HTTP proxy that passes everything on, and breaks once instead of giving back an answer."""

    def __init__(self, word: bytes, service: Service) -> None:
        self._word = word
        self._target = urlsplit(service.url)
        self._broken = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        upstream = socket.create_connection((self._target.hostname, self._target.port))
        with caller, upstream, contextlib.suppress(OSError):
            caller.settimeout(0.4)
            while request := self._pass_on(caller, upstream):
                if self._word in request.split(b"\r\n", 1)[0] and not self._broken:
                    self._broken = True
                    return  # the service has it all
                caller.sendall(upstream.recv(1 << 20))

    def _pass_on(self, caller: socket.socket, upstream: socket.socket) -> bytes:
        """Pass one request on: it has ended when nothing more comes for a while."""
        seen = b""
        while True:
            try:
                block = caller.recv(1 << 16)
            except TimeoutError:
                if seen:
                    return seen
                continue
            if not block:
                return b""
            seen += block
            upstream.sendall(block)


def test_an_answer_that_is_lost_behind_a_proxy_is_not_taken_for_nothing_sent(
    service: Service, picture: Path
) -> None:
    with (
        ForwardingProxy(b"upload.replace", service) as proxy,
        service.client(proxy=proxy.url) as client,
    ):
        assert run(client, picture).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_an_upload_that_was_sent_may_have_arrived_whatever_was_being_handled(
    service: Service, picture: Path
) -> None:
    service.fail("slow:3", "upload.replace")
    with service.client(upload_timeout=0.5) as client:
        try:
            raise Unreachable("an earlier call")
        except Unreachable:
            with pytest.raises(AnswerLost):
                client.upload_replace(BOAT, picture)
    assert len(service.ledger()) == 1


# -- what leaves no doubt behind -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"), [(1, "PermanentError"), (3, "QuotaExceeded"), (107, "CredentialError")]
)
def test_a_refused_upload_leaves_no_doubt_behind(
    service: Service, client: IpernityClient, picture: Path, code: int, kind: str
) -> None:
    journal = MemoryJournal()
    service.fail(f"code:{code}", "upload.replace")
    with pytest.raises(IpernityError, match=f"code {code}") as caught:
        run(client, picture, journal)
    assert type(caught.value).__name__ == kind
    assert journal.read() is None
    assert service.calls()["upload.replace"] == 1


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize(("code", "kind"), [(113, "RateLimited"), (503, "ServiceDown")])
def test_an_upload_that_is_refused_for_now_may_have_arrived_and_the_next_try_asks(
    service: Service, client: IpernityClient, picture: Path, code: int, kind: str, accepted: bool
) -> None:
    journal = MemoryJournal()
    service.fail(f"code:{code}", "upload.replace", after_accepting=accepted)
    with pytest.raises(IpernityError, match=f"code {code}") as caught:
        run(client, picture, journal)
    assert type(caught.value).__name__ == kind
    assert journal.read() is not None
    assert run(client, picture, journal).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_an_unreachable_service_leaves_no_doubt_behind(picture: Path) -> None:
    journal = MemoryJournal()
    url = f"http://127.0.0.1:{free_port()}"
    with (
        IpernityClient(API_KEY, API_SECRET, token=TOKEN, base_url=url, attempts=1) as client,
        pytest.raises(Unreachable),
    ):
        run(client, picture, journal)
    assert journal.read() is None


def test_a_file_that_vanishes_between_hash_and_upload_is_left_to_a_retry(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    class VanishesBeforeTheUpload(MemoryJournal):
        def write(self, record: UploadRecord) -> None:
            super().write(record)
            picture.unlink(missing_ok=True)

    journal = VanishesBeforeTheUpload()
    with pytest.raises(
        SourceUnreadable, match=r"^boat-new\.jpg could not be read .*; nothing was replaced\.$"
    ):
        run(client, picture, journal)
    assert service.ledger() == []
    assert journal.read() is None


# -- other processes of the same task --------------------------------------------------------------


def test_a_try_that_takes_over_waits_for_a_process_that_is_still_sending(
    service: Service, client: IpernityClient, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that counts as dead for Airflow may live on."""
    monkeypatch.setattr("ipernity_provider.replacement.upload.HEARTBEAT_SECONDS", 0.2)
    service.set(receive_bytes_per_second=10 * MIB)

    class Watched(MemoryJournal):
        heartbeats: ClassVar[set[float]] = set()

        def write(self, record: UploadRecord) -> None:
            self.heartbeats.add(record.heartbeat_at)
            super().write(record)

    journal, real = Watched(), time  # both processes look at the same heartbeats
    options: dict[str, Any] = {"clock": real, "poll_interval": 0.1, "resend_grace": 60.0}
    both = [replacement(client, enlarge(picture, 16), journal, **options)]
    both.append(replacement(client, picture, journal, **options))
    with ThreadPoolExecutor() as processes:
        presumed_dead = processes.submit(both[0].run)
        wait_for("the intent", journal.read, 10, every=0.01)
        takes_over = processes.submit(both[1].run)
        assert [presumed_dead.result().outcome, takes_over.result().outcome] == [
            "replaced",
            "replaced",
        ]
    assert len(journal.heartbeats) > 2  # at the start, before the last block, and between
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("left", ["a record of another process", "nothing"])
def test_a_process_that_was_overtaken_sends_nothing_more(
    service: Service, client: IpernityClient, picture: Path, left: str
) -> None:
    journal = MemoryJournal()

    def overtake(sent: int, size: int) -> None:
        mine = journal.read()
        if mine and left == "nothing":
            journal.delete()
        elif mine:
            journal.write(replace(mine, attempt="another process"))

    process = replacement(client, enlarge(picture, 3), journal)
    process.progress = overtake
    with pytest.raises(UploadAborted, match="Another process has taken over"):
        process.run()
    assert service.ledger() == []
    record = journal.read()
    assert (record and record.attempt) == (None if left == "nothing" else "another process")


def test_a_process_that_was_suspended_for_too_long_sends_nothing_more(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    """It wrote its last heartbeat, but another process may have looked before that was kept."""
    clock = FastClock()

    class Suspended(MemoryJournal):
        def write(self, record: UploadRecord) -> None:
            if record.complete:
                clock.skip(70.0)
            super().write(record)

    with pytest.raises(UploadAborted, match="suspended for too long"):
        run(client, picture, Suspended(), clock=clock)
    assert service.ledger() == []


def test_a_process_does_not_take_its_own_heartbeats_for_those_of_another_one(
    service: Service,
    client: IpernityClient,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("ipernity_provider.replacement.upload.HEARTBEAT_SECONDS", 0.0)
    service.fail("drop_after_accepting", "upload.replace")
    assert run(client, enlarge(picture, 3)).outcome == "replaced"
    assert "has arrived" in caplog.text
    assert "Another process" not in caplog.text


def test_a_process_that_asks_what_became_of_its_upload_stops_when_another_one_has_sent_since(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = CrashingJournal("last block")
    with pytest.raises(Crash):
        run(client, picture, journal)
    record = journal.read()
    assert record is not None
    newer = replace(record, attempt="newer", started_at=record.started_at + 5)

    class Overtaken(FastClock):
        def sleep(self, seconds: float) -> None:
            journal.write(newer)

    with pytest.raises(Cancelled, match="Another process has taken over"):
        run(client, picture, journal, clock=Overtaken())
    assert service.ledger() == []


# -- a journal that fails --------------------------------------------------------------------------


class Failing(MemoryJournal):
    """Cannot be written for so many writes, from the first one of its kind on."""

    def __init__(self, at: str, times: int) -> None:
        super().__init__()
        self._at, self.times_left = at, times

    def write(self, record: UploadRecord) -> None:
        kind = "answer" if record.answered else "last block" if record.complete else "intent"
        if kind == self._at and self.times_left:
            self.times_left -= 1
            raise BrokenPipeError("Airflow has gone")
        super().write(record)


@pytest.mark.parametrize("at", ["intent", "last block", "answer"])
def test_a_journal_that_fails_for_a_moment_is_written_again(
    service: Service, client: IpernityClient, picture: Path, at: str
) -> None:
    journal = Failing(at, 2)
    assert run(client, picture, journal).outcome == "replaced"
    assert journal.times_left == 0
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("at", ["intent", "last block"])
def test_a_process_that_cannot_write_its_journal_any_more_stops_sending(
    service: Service, client: IpernityClient, picture: Path, at: str
) -> None:
    with pytest.raises(
        UploadAborted, match="The journal cannot be written any more; nothing more is sent"
    ):
        run(client, picture, Failing(at, 1000))
    assert service.ledger() == []


def test_a_ticket_that_cannot_be_stored_is_named_and_a_retry_finds_the_upload(
    service: Service, client: IpernityClient, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipernity_provider.replacement.upload.STORE_TICKET_SECONDS", 5.0)
    journal, clock = Failing("answer", 1000), FastClock()
    with pytest.raises(TicketNotStored, match=r"A retry asks the service") as caught:
        run(client, picture, journal, clock=clock)
    assert service.ledger()[0]["ticket"] in str(caught.value)
    journal.times_left = 0
    assert run(client, picture, journal, clock=clock).outcome == "replaced"
    assert len(service.ledger()) == 1


# -- the order to stop -----------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 2])
def test_a_cancelled_upload_is_aborted_before_its_last_block_and_the_next_try_sends_at_once(
    service: Service, client: IpernityClient, picture: Path, after: int
) -> None:
    journal = MemoryJournal()
    process = replacement(client, enlarge(picture, 2), journal)

    def progress(sent: int, size: int) -> None:
        if sent == after * MIB:
            process.cancelled.set()

    process.progress = progress
    with pytest.raises(UploadAborted, match="the upload was aborted, and nothing was replaced"):
        process.run()
    assert (service.ledger(), journal.read()) == ([], None)
    clock = FastClock()
    started = clock.monotonic()
    assert run(client, picture, journal, clock=clock, resend_grace=36000.0).outcome == "replaced"
    assert clock.monotonic() - started < 36000
    assert len(service.ledger()) == 1


def test_a_process_that_is_cancelled_while_it_asks_stops_asking_and_keeps_the_record(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    journal = CrashingJournal("answer", kept=False)
    with pytest.raises(Crash):
        run(client, picture, journal)
    process = replacement(client, picture, journal)
    process.cancelled.set()
    with pytest.raises(Cancelled, match="asked to end; what became"):
        process.run()
    assert journal.read() is not None
    assert run(client, picture, journal).outcome == "replaced"
    assert len(service.ledger()) == 1
