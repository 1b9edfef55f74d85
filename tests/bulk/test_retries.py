"""What a try makes of what an earlier one left: nothing is sent twice, nothing is forgotten."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from ipernity_provider.bulk.journal import BulkJournal, JournalLost
from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.bulk.report import BulkFailed, require_success
from ipernity_provider.bulk.rows import Row
from ipernity_provider.bulk.runner import BulkReplacement
from ipernity_provider.replacement.errors import Cancelled, NotFinished, OtherUploadPending, Refused
from tests.bulk.rig import (
    CutShort,
    Killed,
    Ran,
    accepted,
    carried,
    intent,
    killed_before_the_answer,
    make_lines,
    options,
    sent_to,
)
from tests.conftest import Service, draw


@pytest.fixture
def lines(service: Service, tmp_path: Path) -> list[ManifestLine]:
    return make_lines(service, tmp_path, 4)


def test_rows_that_left_the_manifest_are_not_sent(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = BulkJournal()
    with service.client() as client:
        BulkReplacement(client, options(), journal, intent=intent("1")).inspect(
            lines
        )  # as a dry run does
    ran = Ran(service, lines[:2], journal, run="2")
    assert ran.outcomes == {"replaced": 2}
    assert set(sent_to(service)) == {line.doc_id for line in lines[:2]}


def test_what_was_sent_for_an_earlier_manifest_is_still_proven(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = CutShort(service, lines).journal
    ran = Ran(service, lines[:1], journal, run="2")
    assert ran.outcomes == {"unchanged": 1, "replaced": 3}
    assert [row.where for row in ran.rows][1:] == [
        f"{line.where} of an earlier manifest" for line in lines[1:]
    ]
    assert sent_to(service) == dict.fromkeys((line.doc_id for line in lines), 1)
    assert Ran(service, lines[:1], journal, run="3").outcomes == {"unchanged": 1}


def test_a_file_that_was_corrected_while_its_upload_was_pending_is_sent_after_it(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = CutShort(service, lines).journal
    draw(Path(lines[2].file), "#00ff00")
    ran = Ran(service, lines, journal, run="1", resend_grace=30.0)
    if ran.outcomes != {"replaced": 4}:
        assert ran.outcomes == {"replaced": 3, "uncertain": 1}
        assert isinstance(ran.bulk.last_error, OtherUploadPending)
        time.sleep(3.2)
        assert Ran(service, lines, journal, run="1", resend_grace=30.0).outcomes == {"replaced": 4}
    assert carried(service, lines) == 4
    assert sent_to(service)[lines[2].doc_id] == 2
    assert sum(sent_to(service).values()) == 5


def test_the_same_bytes_under_another_name_are_not_sent_twice(
    service: Service, lines: list[ManifestLine], tmp_path: Path
) -> None:
    journal = CutShort(service, lines).journal
    moved = []
    (tmp_path / "later").mkdir()
    for line in lines:
        file = Path(line.file)
        to = file.rename(tmp_path / "later" / file.name)
        moved.append(ManifestLine(line.doc_id, str(to), None, line.where))
    assert Ran(service, moved, journal, run="1").outcomes == {"replaced": 4}
    assert set(sent_to(service).values()) == {1}


def test_what_was_sent_is_proven_without_its_file(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = CutShort(service, lines).journal
    Path(lines[0].file).unlink()
    Path(lines[2].file).unlink()
    assert Ran(service, lines, journal, run="1").outcomes == {"replaced": 4}
    assert set(sent_to(service).values()) == {1}


def test_what_an_earlier_try_has_sent_is_proven_even_if_nothing_more_may_be_sent(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = CutShort(service, lines[:3]).journal
    Path(lines[3].file).unlink()
    ran = Ran(service, lines, journal, run="1")
    assert ran.outcomes == {"replaced": 3, "refused": 1}
    with pytest.raises(BulkFailed) as caught:
        require_success(ran.rows, ran.bulk.stop, ran.bulk.last_error, None)
    text = str(caught.value)
    assert "Of 4 replacements: 3 replaced, 1 refused." in text
    assert "Nothing more was sent, because 1 of 4 cannot be replaced." in text


def test_what_was_refused_is_refused_again(
    service: Service, lines: list[ManifestLine], tmp_path: Path
) -> None:
    sound = tmp_path / "horn.mp3"
    sound.write_bytes(b"ID3\x03" + bytes(2000))
    wrong = [*lines[:2], ManifestLine(lines[2].doc_id, str(sound), None, "line 4")]
    journal = BulkJournal()
    for _ in range(2):
        with pytest.raises(Refused, match=r"(?s)1 of 3 cannot be replaced.*of class audio"):
            Ran(service, wrong, journal)
    for _ in range(2):
        with pytest.raises(Refused, match="lies outside the folders"):
            Ran(service, lines, journal, upload_roots=["/nowhere"])
    assert accepted(service) == []


def test_each_try_looks_at_what_was_sent_before_it_sends_more(
    service: Service, tmp_path: Path
) -> None:
    lines = make_lines(service, tmp_path, 8)
    journal = CutShort(service, lines[:3], replace_mode="new_document").journal
    for _ in range(3):
        ran = Ran(service, lines, journal, run="1")
        # One more may have been sent while those of the earlier try were pending.
        assert ran.outcomes in (
            {"replaced": 1, "new_document": 2, "not_sent": 5},
            {"replaced": 1, "new_document": 3, "not_sent": 4},
        )
        with pytest.raises(BulkFailed, match="new document"):
            require_success(ran.rows, ran.bulk.stop, ran.bulk.last_error, None)
    assert len(accepted(service)) <= 4


def test_a_cleared_task_sends_only_what_has_changed(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = BulkJournal()
    first = Ran(service, lines, journal, run="1", backup_to=Path(lines[0].file).parent / "kept")
    draw(Path(lines[0].file), "#00ff00")
    service.set(
        quota_left_bytes=Path(lines[0].file).stat().st_size
    )  # none is needed for what is there
    ran = Ran(service, lines, journal, run="2")
    assert ran.outcomes == {"replaced": 1, "unchanged": 3}
    # A report of the cleared task still says what was there before, and where it is stored.
    assert [(row.md5_before, row.backup) for row in ran.rows[1:]] == [
        (row.md5_before, row.backup) for row in first.rows[1:]
    ]
    assert len(accepted(service)) == 5
    assert carried(service, lines) == 4


def test_what_the_service_would_not_take_is_not_sent_again_by_a_retry(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = BulkJournal()
    service.set(invalid_next=1)
    for run, outcomes in (("1", {"failed": 1, "replaced": 3}),) * 2 + (
        ("2", {"replaced": 1, "unchanged": 3}),
    ):
        ran = Ran(service, lines, journal, on_error="continue", run=run)
        assert ran.outcomes == outcomes
        assert all(row.ticket for row in ran.rows if row.status != "unchanged")
    assert len(accepted(service)) == 5


def test_what_failed_for_good_stops_a_retry_too(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = BulkJournal()
    service.set(processing_seconds=0.2, invalid_next=1)
    for _ in range(3):
        ran = Ran(service, lines, journal)
        assert [row.status for row in ran.rows][:1] == ["failed"]
        assert ran.outcomes["replaced"] == 0
    assert len(accepted(service)) == 1


def test_an_unchanged_row_is_not_asked_about_by_each_retry(
    service: Service, lines: list[ManifestLine]
) -> None:
    Ran(service, lines)
    journal = BulkJournal()
    assert Ran(service, lines, journal, run="1").outcomes == {"unchanged": 4}
    before = service.calls()["doc.get"]
    draw(Path(lines[1].file), "#00ff00")
    Path(lines[2].file).touch()
    Path(lines[3].file).unlink()
    assert Ran(service, lines, journal, run="1").outcomes == {"replaced": 1, "unchanged": 3}
    # To inspect, before sending and to prove; and once for the one with another date.
    assert service.calls()["doc.get"] - before == 3 + 1


def test_a_row_that_was_not_sent_says_so_when_time_runs_out(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.set(processing_seconds=600)
    with service.client() as client:
        bulk = BulkReplacement(client, options(), BulkJournal())
        bulk.inspect(lines)
        with pytest.raises(NotFinished):
            bulk.run(timeout=0.3)
    assert [row.status for row in bulk.rows] == ["sent", "not_sent", "not_sent", "not_sent"]


def test_a_file_that_changed_before_its_turn_is_known_as_sent(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = BulkJournal()
    with service.client() as client:
        bulk = BulkReplacement(client, options(max_parallel_uploads=1), journal)
        bulk.inspect(lines[:1])
        draw(Path(lines[0].file), "#00ff00")
        service.set(processing_seconds=1.0)
        with pytest.raises(NotFinished):
            bulk.run(timeout=0.1)
    assert [row.status for row in bulk.rows] == ["sent"]
    assert [row.status for row in journal.rows.values()] == ["sent"]
    assert Ran(service, lines[:1], journal).outcomes == {"replaced": 1}
    assert len(accepted(service)) == 1


def test_a_journal_that_was_emptied_is_not_a_success(service: Service) -> None:
    with (
        service.client() as client,
        pytest.raises(JournalLost, match="was deleted while they were waited for"),
    ):
        BulkReplacement(client, options(), BulkJournal()).resume({"stop": None, "last_error": None})


# -- killed while nobody knows ---------------------------------------------------------------------


def test_an_unanswered_upload_is_remembered_while_its_row_is_away(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = killed_before_the_answer(service, lines[:1])
    assert Ran(service, lines[1:3], journal, run="2").outcomes == {"replaced": 2}
    # By now the document shows the bytes: either way nothing is sent.
    outcomes = Ran(service, lines[:3], journal, run="3").outcomes
    assert outcomes == {"replaced": 1, "unchanged": 2}
    assert set(sent_to(service).values()) == {1}


def test_an_unanswered_upload_is_found_without_its_file(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = killed_before_the_answer(service, lines[:1])
    Path(lines[0].file).unlink()
    assert Ran(service, lines, journal, on_error="continue").outcomes == {"replaced": 4}
    assert set(sent_to(service).values()) == {1}


def test_an_unanswered_upload_that_did_not_arrive_cannot_be_sent_again_without_its_file(
    service: Service, lines: list[ManifestLine]
) -> None:
    class Journal(BulkJournal):
        def save(self, *rows: Row) -> None:
            super().save(*rows)
            if any(row.record and row.record.complete for row in rows):
                raise Killed  # written down, and the last block never left

    journal = Journal()
    with service.client() as client:
        bulk = BulkReplacement(client, options(), journal)
        bulk.inspect(lines[:1])
        with pytest.raises(Killed):
            bulk.run(timeout=5)
    assert accepted(service) == []
    left = BulkJournal()
    left.begin(list(journal.rows.values()))
    Path(lines[0].file).unlink()
    ran = Ran(service, lines, left, on_error="continue", resend_grace=2.0)
    assert ran.outcomes == {"uncertain": 1, "replaced": 3} or ran.outcomes == {
        "failed": 1,
        "replaced": 3,
    }
    assert "new0.jpg does not exist" in ran.rows[0].error
    draw(Path(lines[0].file), "#ff0000")
    assert Ran(service, lines, left, resend_grace=2.0).outcomes == {"replaced": 4}
    assert set(sent_to(service).values()) == {1}


def test_cancelling_does_not_wait_for_an_unanswered_upload(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.set(processing_seconds=60)
    journal, cancelled = killed_before_the_answer(service, lines[:1]), threading.Event()
    with service.client() as client:
        bulk = BulkReplacement(client, options(resend_grace=300.0), journal, cancelled=cancelled)
        bulk.inspect(lines)
        threading.Timer(1.0, cancelled.set).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            bulk.run(timeout=30)
        assert time.monotonic() - began < 30
    assert len(accepted(service)) == 1


def test_a_proof_that_comes_while_the_task_is_cut_off_counts(
    service: Service, lines: list[ManifestLine]
) -> None:
    """As Airflow does when a task's time is over: an exception, wherever the main thread is."""

    class Journal(BulkJournal):
        def save(self, *rows: Row) -> None:
            super().save(*rows)
            if any(row.status == "sent" for row in rows):
                service.fail("slow:2", "doc.get")
                threading.Timer(0.9, os.kill, (os.getpid(), signal.SIGUSR1)).start()

    def cut_off(*_: object) -> None:
        raise Killed

    journal = Journal()
    before = signal.signal(signal.SIGUSR1, cut_off)
    try:
        with service.client() as client:
            bulk = BulkReplacement(client, options(poll_interval=0.2), journal)
            bulk.inspect(lines[:1])
            with pytest.raises(Killed):
                bulk.run(timeout=30)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [row.status for row in bulk.rows] == ["replaced"]
    assert [row.status for row in journal.rows.values()] == ["replaced"]
