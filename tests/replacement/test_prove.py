"""Green means that the document carries these bytes: proofs, other writers, lost tickets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.replacement.errors import NewDocument, NotVerified, TicketInvalid
from ipernity_provider.replacement.record import MemoryJournal
from tests.conftest import BOAT, Service
from tests.replacement.support import md5_of, replacement, run, sent
from tests.replacement.test_replace import wait_until_processed

# -- levels of proof -------------------------------------------------------------------------------


@pytest.mark.parametrize(("member", "proof"), [("doc", "md5"), ("original", "md5")])
@pytest.mark.parametrize("demand", ["best", "md5", "bytes", "changed"])
def test_the_strongest_proof_is_taken_that_the_service_shows(
    service: Service, client: IpernityClient, picture: Path, member: str, proof: str, demand: str
) -> None:
    service.set(md5_member=member)
    assert run(client, picture, proof=demand).proof == proof


def test_a_checksum_that_is_shown_nowhere_else_is_asked_for(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(md5_member="none")
    assert run(client, picture, proof="md5").proof == "md5"
    assert service.calls()["doc.checkMD5"] >= 1
    assert run(client, picture).outcome == "unchanged"


def without_checksums(service: Service, *more: dict[str, object]) -> None:
    """Let the service neither show checksums nor answer questions about them."""
    refused = {"method": "doc.checkMD5", "kind": "code:103", "times": 99}
    service.set(md5_member="none", faults=[refused, *more])


def test_without_checksums_the_size_is_proof_enough_but_not_of_an_md5(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    without_checksums(service)
    assert run(client, picture).proof == "bytes"
    with pytest.raises(NotVerified, match=r"with md5 unknown \(demanded proof: md5\)"):
        run(client, other_picture, proof="md5")
    assert len(service.ledger()) == 2


@pytest.mark.parametrize("demand", ["best", "md5", "bytes"])
def test_other_bytes_than_were_sent_are_not_green(
    service: Service, client: IpernityClient, picture: Path, demand: str
) -> None:
    service.set(rewrite_bytes=True)
    with pytest.raises(NotVerified) as caught:
        run(client, picture, proof=demand)
    stored = client.get_document(BOAT)
    sentence = str(caught.value)
    for words in (
        f"Document {BOAT} does not show boat-new.jpg: sent were {picture.stat().st_size} bytes",
        f"with md5 {md5_of(picture)}",
        f"it shows {stored.bytes} bytes with md5 {stored.md5} (demanded proof: {demand})",
        "Either the service rewrote the file, or somebody else replaced it since",
        f"/doc/1234/{BOAT}",
        "proof='changed' accepts rewritten files",
    ):
        assert words in sentence
    assert len(service.ledger()) == 1


def test_rewritten_bytes_pass_on_request_and_are_visible(
    service: Service, client: IpernityClient, picture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.set(rewrite_bytes=True)
    assert run(client, picture, proof="changed").proof == "changed"
    assert "stores other bytes than were sent" in caplog.text


def test_a_document_that_was_not_replaced_at_all_fails_whatever_is_demanded(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    record = sent(client, picture, MemoryJournal())
    wait_until_processed(service)
    document = client.get_document(BOAT)
    assert record.before.replaced_at < document.replaced_at
    # As if the service had done nothing: the document is as it was when the file was sent.
    service.reset()
    for demand in ("best", "md5", "bytes", "changed"):
        process = replacement(client, picture, proof=demand, proof_seconds=2.0)
        with pytest.raises(NotVerified, match=f"Document {BOAT} does not show boat-new"):
            process.finish(record, None)


def test_a_proof_that_appears_late_is_waited_for(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    """A synchronous answer that names the document may come before the document shows the file."""
    service.set(processing_seconds=0.4)
    record = sent(client, picture, MemoryJournal())
    result = replacement(client, picture, proof_seconds=120.0).finish(record, None)
    assert result is not None
    assert result.proof == "md5"


def test_no_proof_is_asked_for_on_request(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    result = run(client, picture, proof="none")
    assert (result.outcome, result.proof) == ("replaced", None)
    assert service.calls()["doc.get"] == 1  # the one before sending


# -- other writers ---------------------------------------------------------------------------------


def test_of_two_writers_only_the_one_whose_bytes_are_there_is_green(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path
) -> None:
    ours = MemoryJournal()
    record = sent(client, picture, ours)
    wait_until_processed(service)
    assert run(client, other_picture).outcome == "replaced"
    with pytest.raises(NotVerified, match="somebody else replaced it since"):
        run(client, picture, ours)
    assert client.get_document(BOAT).md5 == md5_of(other_picture)
    assert [entry["ticket"] for entry in service.ledger()].count(record.ticket) == 1
    assert len(service.ledger()) == 2


# -- tickets ---------------------------------------------------------------------------------------


def test_an_invalid_ticket_fails_and_does_not_stick_to_the_task(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(invalid_next=1)
    journal = MemoryJournal()
    words = rf"Ticket \S+ is invalid: the service accepted boat-new\.jpg for document {BOAT}"
    with pytest.raises(TicketInvalid, match=words):
        run(client, picture, journal)
    assert run(client, picture, journal).outcome == "replaced"
    assert len(service.ledger()) == 2


@pytest.mark.parametrize("proof", ["best", "changed", "none"])
def test_an_invalid_ticket_is_never_green_whatever_the_document_shows(
    service: Service, client: IpernityClient, picture: Path, proof: str
) -> None:
    service.set(invalid_next=1)
    journal = MemoryJournal()
    sent(client, picture, journal)
    run(client, picture)  # another task puts the very same file there
    with pytest.raises(TicketInvalid):
        run(client, picture, journal, proof=proof)


def forgotten(service: Service, client: IpernityClient, picture: Path) -> MemoryJournal:
    """Return the journal of an upload whose ticket the service does not know any more."""
    journal = MemoryJournal()
    sent(client, picture, journal)
    wait_until_processed(service)
    service.set(forget_tickets_after_seconds=0)
    return journal


def test_a_forgotten_ticket_leaves_the_document_to_tell(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    assert run(client, picture, forgotten(service, client, picture)).proof == "md5"
    assert len(service.ledger()) == 1


def test_a_forgotten_ticket_without_any_proof_is_not_green(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    with pytest.raises(NotVerified, match="does not know the ticket"):
        run(client, picture, forgotten(service, client, picture), proof="none")
    assert len(service.ledger()) == 1


def test_a_forgotten_ticket_does_not_hide_a_new_document(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    with pytest.raises(NewDocument) as caught:
        run(client, picture, forgotten(service, client, picture), proof="none")
    assert caught.value.new_doc_id == service.ledger()[0]["new_doc_id"]
    assert len(service.ledger()) == 1


# -- new documents ---------------------------------------------------------------------------------


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
        f"/doc/1234/{BOAT} ",
        f"/doc/1234/{accepted['new_doc_id']} ",
        "Nothing was deleted",
    ):
        assert words in str(caught.value)
    assert caught.value.new_doc_id == accepted["new_doc_id"]
    assert client.get_document(BOAT).md5 == before


def test_a_new_document_that_cannot_be_seen_is_reported_anyway(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    journal = MemoryJournal()
    sent(client, picture, journal)
    wait_until_processed(service)
    service.fail("code:1", "doc.get", times=9)
    with pytest.raises(NewDocument, match=f"instead of replacing the file of document {BOAT}"):
        run(client, picture, journal)


def test_a_new_document_is_kept_on_request_and_proven_as_well(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    journal = MemoryJournal()
    result = run(client, picture, journal, on_new_document="keep", proof="md5")
    new_doc_id = service.ledger()[0]["new_doc_id"]
    assert (result.outcome, result.doc_id, result.new_doc_id, result.proof) == (
        "new_document",
        BOAT,
        new_doc_id,
        "md5",
    )
    assert run(client, picture, journal, on_new_document="keep", proof="md5") == result
    assert len(service.ledger()) == 1


def test_a_new_document_with_other_bytes_is_kept_only_where_those_are_accepted(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(replace_mode="new_document", rewrite_bytes=True)
    with pytest.raises(NotVerified, match=r"Document 1000\d does not show boat-new\.jpg"):
        run(client, picture, on_new_document="keep")
    assert run(client, picture, on_new_document="keep", proof="changed").outcome == "new_document"
