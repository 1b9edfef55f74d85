"""What rows know of themselves, and what a later try still knows of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ipernity_provider.api.errors import PermanentError
from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.bulk.rows import Row, Status, file_as_sent, match_rows
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.replacement.errors import NewDocument, Uncertain
from ipernity_provider.replacement.record import DocumentSnapshot, UploadRecord
from ipernity_provider.replacement.request import Result

OLD, NEW = "0" * 32, "1" * 32
LINE = ManifestLine("5412", "boat.jpg", None, "line 7")
SOURCE = SourceFile(None, "boat.jpg", 10, NEW, media="photo", marker="m")


def record(**parts: Any) -> UploadRecord:
    known: dict[str, Any] = {
        "doc_id": "5412",
        "filename": "boat.jpg",
        "bytes": 10,
        "md5": NEW,
        "marker": "m",
        "before": DocumentSnapshot(OLD, 9, 0),
        "owner_id": "1234",
        "url": None,
        "intent": "1",
        "attempt": "a",
        "started_at": 0.0,
        "heartbeat_at": 0.0,
    }
    return UploadRecord(**{**known, **parts})


SENT = record(complete=True, ticket="1-2")
PROVEN = replace(SENT, proven=DocumentSnapshot(NEW, 10, 5), proof="md5", result_id="5412")


def row(status: Status = "planned", upload: UploadRecord | None = None, **parts: Any) -> Row:
    known: dict[str, Any] = {
        "doc_id": "5412",
        "file": "boat.jpg",
        "where": "line 2",
        "intent": "1",
        "source": SOURCE,
        "sent_file": "boat.jpg" if upload else None,
    }
    return Row(**{**known, "status": status, "record": upload, **parts})


def result(outcome: Any = "replaced", **parts: Any) -> Result:
    return Result(
        **{
            "outcome": outcome,
            "doc_id": "5412",
            "filename": "boat.jpg",
            "bytes": 10,
            "md5": NEW,
            **parts,
        }
    )


# -- one row ---------------------------------------------------------------------------------------


def test_a_row_follows_its_upload() -> None:
    begun = row().with_record(record(complete=True, backup="/kept/boat.jpg"))
    assert (begun.status, begun.md5_before, begun.backup) == ("planned", OLD, "/kept/boat.jpg")
    sent = begun.with_record(SENT)
    assert (sent.status, sent.ticket, sent.may_have_arrived) == ("sent", "1-2", True)
    done = sent.with_record(PROVEN).with_result(result(ticket="1-2", proof="md5"))
    assert (done.status, done.md5_after, done.proof, done.succeeded) == (
        "replaced",
        NEW,
        "md5",
        True,
    )
    assert not done.may_have_arrived


def test_a_document_that_shows_no_checksum_but_is_listed_for_it_carries_it() -> None:
    listed = replace(PROVEN, proven=DocumentSnapshot(None, 10, 5, listed=True))
    assert row(upload=listed).with_result(result()).md5_after == NEW
    changed = replace(PROVEN, proven=DocumentSnapshot(None, 10, 5))
    assert row(upload=changed).with_result(result()).md5_after is None


@pytest.mark.parametrize(
    ("upload", "volume"),
    [
        (None, 10),
        (record(), 10),  # not complete: it cannot have arrived
        (record(complete=True), 0),
        (SENT, 0),
        (PROVEN, 10),
        (replace(SENT, md5=OLD), 10),  # of another file
    ],
)
def test_a_file_that_may_have_arrived_takes_no_volume(
    upload: UploadRecord | None, volume: int
) -> None:
    assert row(upload=upload).volume == volume


def test_an_error_says_what_a_row_is() -> None:
    assert row().with_error(PermanentError("no"), "failed").status == "failed"
    created = row().with_error(NewDocument("It created 10001.", new_doc_id="10001"), "failed")
    assert (created.status, created.new_doc_id, created.succeeded) == (
        "new_document",
        "10001",
        False,
    )
    assert row().with_error(Uncertain("unclear"), "failed").status == "uncertain"
    refused = row().with_error(PermanentError("Too large. Nothing was sent."), "refused")
    assert (refused.status, refused.error) == ("refused", "Too large. Nothing was sent.")
    begun = row(upload=SENT).with_error(PermanentError("Too large. Nothing was sent."), "refused")
    assert begun.status == "uncertain"
    assert begun.error.startswith("Too large. An earlier upload (ticket 1-2) may have arrived")


def test_a_row_is_stored_whole_and_without_what_is_empty() -> None:
    for each in (row(), row("sent", SENT, ticket="1-2"), row("replaced", PROVEN), row(source=None)):
        stored = json.loads(json.dumps(each.to_json()))
        assert Row.from_json({**stored, "of_another_version": 1}) == each
    assert "error" not in row().to_json()


# -- a manifest and what is known ------------------------------------------------------------------


def matched(known: Row | None, line: ManifestLine = LINE, intent: str = "1") -> Row:
    (found,) = match_rows({known.doc_id: known} if known else {}, [line], intent)
    return found


def test_a_new_row_knows_nothing() -> None:
    assert matched(None) == Row(doc_id="5412", file="boat.jpg", where="line 7", intent="1")


@pytest.mark.parametrize(
    "status", ["planned", "sent", "replaced", "refused", "uncertain", "not_sent"]
)
def test_a_known_row_is_planned_again_with_its_upload_and_its_file(status: Status) -> None:
    found = matched(row(status, SENT, error="some", backup="/kept"))
    assert (found.status, found.error, found.where) == ("planned", "", "line 7")
    assert (found.record, found.sent_file, found.source) == (SENT, "boat.jpg", SOURCE)


def test_a_row_that_is_unchanged_or_was_not_taken_stays_so_in_the_same_intent_alone() -> None:
    for settled in (row("unchanged"), row("failed", error="no")):
        assert matched(settled) == replace(settled, where="line 7")
        assert matched(settled, intent="2").status == "planned"
        assert matched(settled, replace(LINE, file="tree.jpg")).status == "planned"
        assert matched(settled, replace(LINE, filename="b.jpg")).status == "planned"
    assert matched(row("failed", SENT)).status == "planned"  # not proven: it is looked at again


def test_another_file_keeps_the_upload_and_nothing_of_the_old_file() -> None:
    found = matched(row("sent", SENT), replace(LINE, file="tree.jpg"))
    assert (found.record, found.sent_file, found.source, found.md5) == (
        SENT,
        "boat.jpg",
        None,
        None,
    )
    assert found.md5_before == OLD
    assert file_as_sent(found) is None


def test_rows_that_left_the_manifest_are_proven_set_aside_or_forgotten() -> None:
    known = {
        "1": row("sent", SENT, doc_id="1"),
        "2": row("planned", record(complete=True), doc_id="2"),
        "3": row("failed", SENT, doc_id="3"),
        "4": row("planned", record(), doc_id="4"),
        "5": row("replaced", PROVEN, doc_id="5"),
        "6": row("refused", doc_id="6"),
    }
    line, *left = match_rows(known, [LINE], "1")
    assert line.doc_id == "5412"
    assert [(each.doc_id, each.place) for each in left] == [
        ("1", "removed"),
        ("2", "set_aside"),
        ("3", "set_aside"),
    ]
    assert {each.where for each in left} == {"line 2 of an earlier manifest"}
    again = match_rows({each.doc_id: each for each in left}, [LINE], "1")
    assert {each.where for each in again[1:]} == {"line 2 of an earlier manifest"}
    (back, *_) = match_rows({each.doc_id: each for each in left}, [replace(LINE, doc_id="2")], "1")
    assert (back.place, back.record, back.where) == ("listed", known["2"].record, "line 7")


def test_the_file_as_it_was_sent() -> None:
    assert file_as_sent(row(upload=SENT)) == SourceFile(None, "boat.jpg", 10, NEW, marker="m")
    assert file_as_sent(row()) is None
