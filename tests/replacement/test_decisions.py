"""The decision tables: records in, decision out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ipernity_provider.api.models import Document, Ticket
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.replacement.decisions import (
    SENDER_TIMEOUT,
    Arrival,
    Resume,
    TicketMeaning,
    decide_arrival,
    decide_resume,
    decide_unchanged,
    interpret_ticket,
    is_candidate,
    is_same_file,
    is_to_continue,
    meets,
    proof_reached,
)
from ipernity_provider.replacement.memory import Remembered
from ipernity_provider.replacement.record import DocumentSnapshot, Transfer, UploadRecord
from ipernity_provider.replacement.request import Intent, ReplaceOptions, ReplaceRequest

NOW = 1_700_000_000.0
OLD, NEW, FOREIGN = "0" * 32, "1" * 32, "2" * 32
BEFORE = DocumentSnapshot(OLD, 100, 50, int(NOW) - 20)
RECORD = UploadRecord(
    doc_id="5412",
    filename="boat.jpg",
    bytes=200,
    md5=NEW,
    marker="m",
    before=BEFORE,
    owner_id="1234",
    url=None,
    intent="2",
    attempt="a",
    started_at=NOW - 20,
    heartbeat_at=NOW - 10,
    complete=True,
)
REQUEST = ReplaceRequest(doc_id="5412", file=None)
SUCCEEDED = replace(REQUEST, successor="77")
FILE = SourceFile("boat.jpg", "boat.jpg", 200, NEW, marker="m")
PROVEN = replace(RECORD, ticket="5412-1", result_id="5412", proven=BEFORE, proof="md5")
HIDDEN = replace(BEFORE, md5=None)


@pytest.mark.parametrize(
    ("record", "intent", "step"),
    [
        (None, Intent("2"), Resume.START),
        (None, Intent("2", without_journal=True), Resume.ASSUME),
        (None, Intent("2", others_cleared=True), Resume.LOOK),
        (replace(RECORD, doc_id="9"), Intent("2"), Resume.ASSUME),
        (PROVEN, Intent("2"), Resume.RETURN),
        (PROVEN, Intent("5"), Resume.START),
        (replace(PROVEN, proof="changed"), Intent("2"), Resume.RETURN),
        (replace(RECORD, ticket="5412-1"), Intent("2"), Resume.CONTINUE),
        (replace(RECORD, ticket="5412-1"), Intent("5"), Resume.CONTINUE),
        (replace(RECORD, result_id="77"), Intent("2"), Resume.CONTINUE),
        (RECORD, Intent("2"), Resume.RECONCILE),
        (replace(RECORD, complete=False), Intent("2"), Resume.WAIT_FOR_SENDER),
        (
            replace(RECORD, complete=False, heartbeat_at=NOW - SENDER_TIMEOUT),
            Intent("2"),
            Resume.START,
        ),
        (replace(RECORD, md5=FOREIGN), Intent("2"), Resume.WAIT_FOR_OTHER),
        (replace(RECORD, md5=FOREIGN, ticket="5412-1"), Intent("2"), Resume.WAIT_FOR_OTHER),
        (replace(RECORD, md5=FOREIGN, result_id="5412"), Intent("2"), Resume.START),
        (replace(RECORD, md5=FOREIGN, complete=False, heartbeat_at=0.0), Intent("2"), Resume.START),
        (replace(PROVEN, md5=FOREIGN), Intent("2"), Resume.START),
    ],
)
def test_what_an_earlier_try_left_behind(
    record: UploadRecord | None, intent: Intent, step: Resume
) -> None:
    assert decide_resume(record, REQUEST, FILE, intent, ReplaceOptions(), NOW) is step


def test_a_stronger_demand_is_not_met_by_what_was_proven_less() -> None:
    weak, demanding = replace(PROVEN, proof="changed"), ReplaceOptions(proof="md5")
    assert decide_resume(weak, REQUEST, FILE, Intent("2"), demanding, NOW) is Resume.CONTINUE


def test_an_upload_to_a_document_whose_place_another_one_has_taken() -> None:
    """Once it is proven, it says nothing of the successor."""
    transferred = replace(PROVEN, result_id="77")
    assert decide_resume(transferred, SUCCEEDED, FILE, Intent("2"), ReplaceOptions(), NOW) is (
        Resume.START
    )
    assert decide_resume(RECORD, SUCCEEDED, FILE, Intent("2"), ReplaceOptions(), NOW) is (
        Resume.ASSUME
    )
    cut_off = replace(RECORD, complete=False, heartbeat_at=0.0)
    assert decide_resume(cut_off, SUCCEEDED, FILE, Intent("2"), ReplaceOptions(), NOW) is (
        Resume.START
    )
    foreign = replace(transferred, doc_id="9")
    assert decide_resume(foreign, SUCCEEDED, FILE, Intent("2"), ReplaceOptions(), NOW) is (
        Resume.ASSUME
    )


@pytest.mark.parametrize(
    ("record", "intent", "continued"),
    [
        (RECORD, "2", True),
        (RECORD, "5", True),
        (replace(RECORD, doc_id="9"), "2", False),
        (replace(RECORD, doc_id="77", asked_for="5412"), "2", True),
        (replace(RECORD, md5=FOREIGN), "2", True),
        (replace(RECORD, complete=False), "2", True),
        (replace(RECORD, complete=False, heartbeat_at=0.0), "2", False),
        (PROVEN, "2", True),
        (PROVEN, "5", False),
        (replace(PROVEN, result_id="77"), "5", True),
        (replace(PROVEN, result_id="77", transfer=Transfer(done=("title",))), "5", True),
        (replace(PROVEN, result_id="77", transfer=Transfer(finished=True)), "5", False),
        (replace(PROVEN, md5=FOREIGN), "2", False),
    ],
)
def test_what_is_continued_whatever_has_taken_the_document_s_place(
    record: UploadRecord, intent: str, continued: bool
) -> None:
    options = ReplaceOptions(on_new_document="transfer")
    assert is_to_continue(record, REQUEST, FILE, Intent(intent), options, NOW) is continued


def test_a_new_document_that_was_kept_is_not_returned_once_it_is_not_wanted() -> None:
    kept = replace(PROVEN, result_id="77")
    assert (
        decide_resume(kept, REQUEST, FILE, Intent("2"), ReplaceOptions(on_new_document="keep"), NOW)
        is Resume.RETURN
    )
    assert decide_resume(kept, REQUEST, FILE, Intent("2"), ReplaceOptions(), NOW) is Resume.CONTINUE


@pytest.mark.parametrize(
    ("file", "same"),
    [
        (FILE, True),
        (replace(FILE, md5=FOREIGN), False),
        (replace(FILE, md5=None), True),
        (replace(FILE, md5=None, marker="other"), False),
        (replace(FILE, md5=None, marker=""), False),
        (replace(FILE, md5=None, marker="", reported_md5=NEW), True),
        (replace(FILE, md5=None, marker="", reported_md5=FOREIGN), False),
    ],
)
def test_whether_a_record_is_of_this_file(file: SourceFile, same: bool) -> None:
    assert is_same_file(RECORD, file) is same


@pytest.mark.parametrize(
    ("file", "shown", "unchanged"),
    [
        (FILE, replace(BEFORE, md5=NEW), True),
        (FILE, BEFORE, False),
        (FILE, replace(HIDDEN, listed=True), True),
        (FILE, replace(HIDDEN, listed=False), False),
        (FILE, HIDDEN, False),
        (replace(FILE, md5=None, reported_md5=NEW), replace(BEFORE, md5=NEW), True),
        (replace(FILE, md5=None), replace(BEFORE, md5=NEW), False),
        (FILE, replace(BEFORE, md5=FOREIGN, listed=True), False),
    ],
)
def test_whether_the_document_carries_the_file(
    file: SourceFile, shown: DocumentSnapshot, unchanged: bool
) -> None:
    assert decide_unchanged(file, shown, ReplaceOptions()) is unchanged
    assert not decide_unchanged(file, shown, ReplaceOptions(if_unchanged="replace"))


def document(doc_id: str = "77", **changes: Any) -> Document:
    values: dict[str, Any] = {
        "doc_id": doc_id, "media": "photo", "title": "", "owner_id": "1234",
        "link": None, "md5": NEW, "bytes": 200,
        "filename": "boat.jpg", "posted_at": int(NOW), "replaced_at": 0, "asked_at": int(NOW),
    }  # fmt: skip
    return Document(**{**values, **changes})


@pytest.mark.parametrize(
    ("record", "shown", "candidates", "arrival"),
    [
        (RECORD, replace(BEFORE, md5=NEW), [], Arrival.ARRIVED),
        (RECORD, replace(BEFORE, md5=NEW, replaced_at=60), [], Arrival.ARRIVED),
        (RECORD, BEFORE, [], Arrival.ABSENT),
        (RECORD, replace(BEFORE, replaced_at=60), [], Arrival.UNCLEAR),
        (RECORD, replace(BEFORE, md5=FOREIGN, replaced_at=60), [], Arrival.UNCLEAR),
        (RECORD, BEFORE, [document()], Arrival.NEW_DOCUMENT),
        (RECORD, replace(BEFORE, md5=NEW, replaced_at=60), [document()], Arrival.ARRIVED),
        # The bytes were there before, and are sent again: only the date tells.
        (replace(RECORD, before=replace(BEFORE, md5=NEW)),
         replace(BEFORE, md5=NEW), [], Arrival.ABSENT),
        (replace(RECORD, before=replace(BEFORE, md5=NEW)),
         replace(BEFORE, md5=NEW, replaced_at=60), [], Arrival.ARRIVED),
        (replace(RECORD, before=replace(BEFORE, md5=NEW)),
         replace(BEFORE, md5=NEW), [document()], Arrival.NEW_DOCUMENT),
        # ... and not even that, if it was sent in the second of the last replacement.
        (replace(RECORD, before=replace(BEFORE, md5=NEW, replaced_at=70, observed_at=70)),
         replace(BEFORE, md5=NEW, replaced_at=70), [], Arrival.UNCLEAR),
        # Where no checksum is shown, an equal size tells only if it was another one before.
        (replace(RECORD, before=HIDDEN),
         replace(HIDDEN, bytes=200, replaced_at=60), [], Arrival.ARRIVED),
        (replace(RECORD, bytes=100, before=HIDDEN),
         replace(HIDDEN, replaced_at=60), [], Arrival.UNCLEAR),
        (replace(RECORD, before=HIDDEN), HIDDEN, [], Arrival.ABSENT),
        (replace(RECORD, before=HIDDEN), replace(HIDDEN, listed=True), [], Arrival.ARRIVED),
        # Nothing is shown at all, or the last replacement was in the very second.
        (replace(RECORD, before=replace(HIDDEN, bytes=None)),
         replace(HIDDEN, bytes=None), [], Arrival.UNCLEAR),
        (replace(RECORD, before=replace(BEFORE, replaced_at=70, observed_at=70)),
         replace(BEFORE, replaced_at=70), [], Arrival.UNCLEAR),
    ],
)  # fmt: skip
def test_what_became_of_an_upload(
    record: UploadRecord, shown: DocumentSnapshot, candidates: list[Document], arrival: Arrival
) -> None:
    assert decide_arrival(record, shown, candidates) is arrival


@pytest.mark.parametrize(
    ("found", "is_one"),
    [
        (document(), True),
        (document(doc_id="5412"), False),
        (document(owner_id="9"), False),
        (document(posted_at=int(NOW) - 21), False),
        (document(posted_at=int(NOW) - 20), True),
    ],
)
def test_which_documents_may_stem_from_an_upload(found: Document, is_one: bool) -> None:
    assert is_candidate(RECORD, found) is is_one


@pytest.mark.parametrize(
    ("ticket", "meaning"),
    [
        (Ticket("t", "pending"), TicketMeaning.PENDING),
        (Ticket("t", "done", doc_id="5412"), TicketMeaning.IN_PLACE),
        (Ticket("t", "done"), TicketMeaning.IN_PLACE),
        (Ticket("t", "done", doc_id="77"), TicketMeaning.NEW_DOCUMENT),
        (Ticket("t", "invalid"), TicketMeaning.INVALID),
        (Ticket("t", "unknown"), TicketMeaning.FORGOTTEN),
    ],
)
def test_what_a_ticket_means(ticket: Ticket, meaning: TicketMeaning) -> None:
    assert interpret_ticket("5412", ticket) is meaning


MOVED = replace(BEFORE, replaced_at=60)


@pytest.mark.parametrize(
    ("shown", "best", "md5", "size", "changed"),
    [
        (replace(MOVED, md5=NEW), "md5", "md5", "md5", "md5"),
        (replace(BEFORE, md5=NEW), "md5", "md5", "md5", "md5"),
        # Other bytes: rewritten by the service, or sent by somebody else.
        (replace(MOVED, md5=FOREIGN), None, None, None, "changed"),
        (replace(MOVED, md5=FOREIGN, bytes=200), None, None, "bytes", "bytes"),
        # The old checksum with a new date: so it is where a service rewrites the same file in the
        # same way again.
        (MOVED, None, None, None, "changed"),
        (BEFORE, None, None, None, None),
        # No checksum in doc.get: doc.checkMD5 can tell.
        (replace(MOVED, md5=None, listed=True), "md5", "md5", "md5", "md5"),
        (replace(MOVED, md5=None, listed=False, bytes=200), None, None, "bytes", "bytes"),
        # No checksum at all: the size; where that is hidden, too, the date.
        (replace(MOVED, md5=None, bytes=200), "bytes", None, "bytes", "bytes"),
        (replace(HIDDEN, bytes=200), "bytes", None, "bytes", "bytes"),
        (replace(MOVED, md5=None), None, None, None, "changed"),
        (replace(MOVED, md5=None, bytes=None), "changed", None, None, "changed"),
        (replace(HIDDEN, bytes=None), None, None, None, None),
    ],
)
def test_which_proof_is_reached(
    shown: DocumentSnapshot,
    best: str | None,
    md5: str | None,
    size: str | None,
    changed: str | None,
) -> None:
    assert proof_reached(RECORD, shown, "best") == best
    assert proof_reached(RECORD, shown, "md5") == md5
    assert proof_reached(RECORD, shown, "bytes") == size
    assert proof_reached(RECORD, shown, "changed") == changed


def test_the_levels_have_an_order() -> None:
    assert meets("md5", "bytes")
    assert meets("bytes", "changed")
    assert not meets("changed", "bytes")
    assert not meets(None, "changed")
    assert meets(None, "none")


@pytest.mark.parametrize(
    ("owner", "now", "claimed"),
    [("other", 1009.9, True), ("other", 1010.0, False), ("mine", 1001.0, False)],
)
def test_a_transfer_is_left_to_its_owner_until_the_claim_is_over(
    owner: str, now: float, claimed: bool
) -> None:
    known = Remembered(successor="2", owner=owner, claimed_at=1000.0)
    assert known.is_claimed_by_other("mine", now, 10.0) is claimed
    assert not Remembered(successor="2").is_claimed_by_other("mine", 5.0, 10.0)
