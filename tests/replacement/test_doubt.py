"""Cases in which it would be easy to be wrong: a false green, or a second send."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import AnswerLost, Unreachable
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement import MemoryJournal
from ipernity_provider.replacement.order import NewDocument, NotVerified, Refused, Uncertain
from tests.conftest import BOAT, Service, draw
from tests.replacement.test_life import Crash, CrashingJournal, md5_of, run


class ForwardingProxy:
    """An HTTP proxy that passes everything on, and breaks once instead of giving back the answer to one call."""

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
        """One request: it has ended when nothing more comes for a while."""
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
    with ForwardingProxy(b"upload.replace", service) as proxy, service.client(proxy=proxy.url) as client:
        assert run(client, picture, resend_grace=3.0).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_an_upload_that_breaks_in_the_middle_cannot_have_arrived_and_is_sent_again_without_waiting(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    with picture.open("ab") as out:
        out.write(bytes(48 << 20))  # more than the connection's buffers hold
    service.fail("drop_before_reading", "upload.replace")
    assert run(client, picture, resend_grace=3600).outcome == "replaced"
    assert len(service.ledger()) == 1
    assert service.calls()["upload.replace"] == 2


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


def test_a_cleared_task_is_not_green_by_somebody_elses_replacement(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    journal = MemoryJournal()
    run(client, picture, journal)
    time.sleep(1.1)  # times are whole seconds
    run(client, other_picture)
    result = run(client, picture, journal)
    assert client.get_document(BOAT).md5 == md5_of(picture) == result.md5
    assert (result.outcome, result.verified_by) == ("replaced", "md5")
    assert len(service.ledger()) == 3


def test_a_cleared_task_is_not_green_by_a_restored_backup(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path
) -> None:
    journal = MemoryJournal()
    backup = run(client, picture, journal, backup_to=tmp_path / "backups").backup
    assert backup is not None
    time.sleep(1.1)
    run(client, Path(backup))
    assert run(client, picture, journal).verified_by == "md5"
    assert client.get_document(BOAT).md5 == md5_of(picture)


def test_a_cleared_task_whose_document_is_as_it_was_proven_sends_and_asks_nothing_more(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    journal = MemoryJournal()
    run(client, picture, journal)
    calls = service.calls()["upload.checkTickets"]
    again = run(client, picture, journal)
    assert (again.outcome, again.verified_by) == ("replaced", "replaced_at")
    assert service.calls()["upload.checkTickets"] == calls
    assert len(service.ledger()) == 1


def test_a_cleared_task_that_demands_more_proof_than_there_was_is_not_green(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    journal = MemoryJournal()
    assert run(client, picture, journal).verified_by == "replaced_at"
    with pytest.raises(NotVerified, match="demanded: md5"):
        run(client, picture, journal, verify="md5")
    assert len(service.ledger()) == 1


def test_a_cleared_task_that_wants_no_new_document_any_more_is_not_green(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    journal = MemoryJournal()
    kept = run(client, picture, journal, on_new_document="keep")
    assert run(client, picture, journal, on_new_document="keep").new_doc_id == kept.new_doc_id
    with pytest.raises(NewDocument):
        run(client, picture, journal)
    assert len(service.ledger()) == 1


def test_without_a_journal_a_retry_does_not_wait_for_what_is_there(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    began = time.time()
    run(client, picture)
    assert run(client, picture, maybe_sent_since=began, resend_grace=3600).outcome == "unchanged"
    assert len(service.ledger()) == 1


def test_a_stray_document_with_other_bytes_is_doubt_and_not_absence(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document", rewrite_bytes=True)
    service.fail("drop_after_accepting", "upload.replace")
    with pytest.raises(Uncertain):
        run(client, picture)
    assert len(service.ledger()) == 1


def test_a_replacement_in_the_second_of_the_last_one_is_doubt_and_not_absence(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(processing_seconds=0.01)
    while True:
        run(client, picture, if_unchanged="replace")
        document = client.get_document(BOAT)
        if document.asked_at == document.replaced_at:
            break
    sent = len(service.ledger())
    service.fail("drop_after_accepting", "upload.replace")
    # Uncertain, if all of it fell into one second; else the date has told.
    with contextlib.suppress(Uncertain):
        run(client, picture, if_unchanged="replace")
    assert len(service.ledger()) == sent + 1


def test_the_same_file_of_another_document_is_not_taken_for_a_stray(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path
) -> None:
    other = client.upload_file(draw(tmp_path / "other.jpg", "#abcdef"), asynchronous=False).doc_id
    assert other is not None
    time.sleep(1.1)
    journal = CrashingJournal(1, kept=True)
    with pytest.raises(Crash):
        run(client, picture, journal, on_new_document="keep")
    run(client, picture, doc_id=other)  # another task replaces another document by the same file meanwhile
    result = run(client, picture, journal, on_new_document="keep")
    assert (result.outcome, result.doc_id) == ("replaced", BOAT)
    assert client.get_document(BOAT).md5 == md5_of(picture)


def test_without_a_journal_a_retry_asks_before_it_sends(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    began = time.time()
    client.upload_replace(BOAT, picture)  # what an earlier try has sent; the service is still working on it
    assert run(client, picture, maybe_sent_since=began).outcome == "replaced"
    assert len(service.ledger()) == 1


def test_without_a_journal_and_with_other_bytes_a_retry_cannot_tell(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    began = time.time()
    client.upload_replace(BOAT, picture, asynchronous=False)
    with pytest.raises(Uncertain):
        run(client, picture, maybe_sent_since=began)
    assert len(service.ledger()) == 1


def test_a_ticket_that_names_nothing_is_not_the_services_word(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    journal = CrashingJournal(2, kept=True)
    with pytest.raises(Crash):
        run(client, picture, journal)
    time.sleep(0.5)
    service.set(forget_tickets_after_seconds=0)
    with pytest.raises((NewDocument, NotVerified)):
        run(client, picture, journal, verify="none")
    assert len(service.ledger()) == 1


def test_a_new_document_that_cannot_be_seen_is_told_all_the_same(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    service.set(faults=[{"method": "upload.checkTickets", "kind": "slow:0"}])
    journal = CrashingJournal(2, kept=True)
    with pytest.raises(Crash):
        run(client, picture, journal)
    time.sleep(0.5)
    service.fail("code:1", "doc.get", times=9)
    with pytest.raises(NewDocument, match=f"instead of replacing the file of document {BOAT}"):
        run(client, picture, journal)


@pytest.mark.parametrize("doc_id", ["²", "٥٤١٢", "5412.5", "-5412"])
def test_a_document_is_named_by_plain_digits(client: IpernityClient, picture: Path, doc_id: str) -> None:
    with pytest.raises(Refused, match="is not a document's number such as 5412"):
        run(client, picture, doc_id=doc_id)


def test_a_linked_file_keeps_the_name_of_its_link(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    link = picture.with_name("current.jpg")
    link.symlink_to(picture)
    run(client, link)
    assert service.ledger()[0]["filename"] == "current.jpg"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///data/a#b?c.jpg", "/data/a#b?c.jpg"),
        ("FILE:///data/boat.jpg", "/data/boat.jpg"),
        ("local:///data/boat.jpg", "/data/boat.jpg"),
        ("file://localhost/data/a%20boat.jpg", "/data/a boat.jpg"),
    ],
)
def test_a_file_uri_names_exactly_one_local_file(uri: str, path: str) -> None:
    assert as_path(uri) == Path(path)


@pytest.mark.parametrize("uri", ["file://data/boat.jpg", "file://", "~no-such-user/boat.jpg"])
def test_a_file_uri_with_a_host_or_without_a_path_is_refused(uri: str) -> None:
    with pytest.raises(Refused, match="cannot be opened"):
        as_path(uri)


def test_a_root_may_be_a_file_uri_and_a_link_does_not_lead_out_of_it(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    root = picture.parent / "allowed"
    root.mkdir()
    (root / "link.jpg").symlink_to(picture)
    with pytest.raises(Refused, match="lies outside"):
        run(client, as_path(f"FILE://{root}/link.jpg"), upload_roots=[(f"file://{root}",)])
    assert run(client, picture, upload_roots=[(f"file://{picture.parent}",)]).outcome == "replaced"
    assert len(service.ledger()) == 1
