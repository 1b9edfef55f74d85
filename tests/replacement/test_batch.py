"""Many replacements together, against the real service; what counts is what its ledger holds."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.replacement.batch import (
    Batch,
    BatchJournal,
    BatchOrder,
    Item,
    MemoryBatchJournal,
    Waiting,
    plan_again,
    plan_all,
    require_possible,
    require_well,
    summary_of,
    write_report,
)
from ipernity_provider.replacement.batch.plan import BatchPlan
from ipernity_provider.replacement.batch.report import BatchFailed
from ipernity_provider.replacement.manifest import Line
from ipernity_provider.replacement.order import NotFinished, Refused
from tests.conftest import Service, draw


@pytest.fixture
def lines(service: Service, tmp_path: Path) -> list[Line]:
    """Twelve documents of one's own, each with a new file."""
    return make_lines(service, tmp_path, 12)


def make_lines(service: Service, folder: Path, count: int) -> list[Line]:
    doc_ids = service.add_documents(draw(folder / "old.jpg", f"#{number:06x}") for number in range(count))
    files = [draw(folder / f"new{number}.jpg", f"#ff{number:04x}") for number in range(count)]
    return [
        Line(doc_id, str(file), None, f"line {number}")
        for number, (doc_id, file) in enumerate(zip(doc_ids, files, strict=True), 2)
    ]


def order(**options: Any) -> BatchOrder:
    return BatchOrder(**{"open_path": Path, "verify_seconds": 2.0, "resend_grace": 4.0, **options})


class Ran:
    """A batch that was carried out, as a task would have."""

    def __init__(
        self, service: Service, lines: list[Line], journal: BatchJournal | None = None, **options: Any
    ) -> None:
        self.journal = journal or MemoryBatchJournal()
        wanted = order(**options)
        with service.client() as client:
            self.plan: BatchPlan = plan_all(client, wanted, self.journal, lines)
            stopped = require_possible(self.plan, wanted)
            self.batch = Batch(client, wanted, self.journal, self.plan, poll_interval=0.3, stopped=stopped)
            self.batch.run(timeout=30)

    @property
    def fates(self) -> Counter[str]:
        return Counter(item.fate for item in self.batch.items)


def accepted(service: Service) -> list[dict[str, Any]]:
    return [entry for entry in service.ledger() if entry["method"] == "upload.replace"]


def carried(service: Service, lines: list[Line]) -> int:
    """How many of the documents carry their files now."""
    with service.client() as client:
        return sum(
            client.get_document(line.doc_id).md5 == hashlib.md5(Path(line.file).read_bytes()).hexdigest()
            for line in lines
        )


def test_each_file_is_sent_once_and_proven(service: Service, lines: list[Line], tmp_path: Path) -> None:
    ran = Ran(service, lines)
    assert ran.fates == {"replaced": 12}
    assert sorted(entry["doc_id"] for entry in accepted(service)) == sorted(line.doc_id for line in lines)
    assert carried(service, lines) == 12
    require_well(ran.batch.items, "", None)
    report = tmp_path / "reports" / "today.jsonl"
    write_report(report, ran.batch.items)
    rows = [json.loads(row) for row in report.read_text().splitlines()]
    assert [row["doc_id"] for row in rows] == [line.doc_id for line in lines]
    assert [row["where"] for row in rows] == [line.where for line in lines]
    for row, line in zip(rows, lines, strict=True):
        new = hashlib.md5(Path(line.file).read_bytes()).hexdigest()
        assert (row["outcome"], row["md5"], row["md5_after"], row["verified_by"]) == (
            "replaced",
            new,
            new,
            "md5",
        )
        assert row["md5_before"] not in {None, new}
        assert row["ticket"]
        assert row["error"] is None
    summary = summary_of(ran.batch.items, str(report))
    assert (summary["total"], summary["replaced"], summary["failed"]) == (12, 12, 0)
    assert summary["bytes_sent"] == sum(Path(line.file).stat().st_size for line in lines)


def test_service_calls_are_shared(service: Service, lines: list[Line]) -> None:
    before = service.calls().get("doc.checkMD5", 0)
    Ran(service, lines)
    calls = service.calls()
    assert calls["doc.checkMD5"] - before == 1
    assert (calls["account.getQuota"], calls["auth.checkToken"]) == (1, 1)
    assert calls["upload.replace"] == 12


def test_no_more_than_so_many_uploads_at_a_time(service: Service, tmp_path: Path) -> None:
    lines = make_lines(service, tmp_path, 6)
    for line in lines:
        with Path(line.file).open("ab") as out:
            out.write(os.urandom(200_000))
    service.set(receive_bytes_per_second=400_000)
    Ran(service, lines, max_parallel_uploads=2)
    times = [entry["at"] for entry in accepted(service)]
    # Half a second each: were they sent one by one, or all at once, the last would come at another time.
    assert 1.0 < times[-1] - times[0] < 2.9


def test_the_first_goes_ahead_and_a_new_document_stops_all(service: Service, lines: list[Line]) -> None:
    service.set(replace_mode="new_document")
    for on_error in ("stop", "continue"):
        ran = Ran(service, lines, on_error=on_error)
        assert ran.fates == {"new_document": 1, "not_sent": 11}
        assert len(accepted(service)) == (1 if on_error == "stop" else 2)
        with pytest.raises(BatchFailed, match="instead of replacing") as caught:
            require_well(ran.batch.items, ran.batch.stopped, None)
        assert "Of 12 replacements: 1 new_document, 11 not_sent." in str(caught.value)


def test_new_documents_are_kept_where_that_is_wanted(service: Service, lines: list[Line]) -> None:
    service.set(replace_mode="new_document")
    ran = Ran(service, lines, on_new_document="keep")
    assert ran.fates == {"new_document": 12}
    assert len(accepted(service)) == 12
    assert all(item.new_doc_id for item in ran.batch.items)
    require_well(ran.batch.items, ran.batch.stopped, None)


def spoil(lines: list[Line], tmp_path: Path) -> list[Line]:
    """Three of them cannot be replaced."""
    empty = tmp_path / "empty.jpg"
    empty.touch()
    return [
        Line("999999", lines[0].file, None, "line 2"),
        Line(lines[1].doc_id, str(empty), None, "line 3"),
        Line(lines[2].doc_id, str(tmp_path), None, "line 4"),
        *lines[3:],
    ]


def test_nothing_is_sent_if_one_cannot_be_replaced(
    service: Service, lines: list[Line], tmp_path: Path
) -> None:
    with pytest.raises(Refused) as caught:
        Ran(service, spoil(lines, tmp_path))
    told = str(caught.value)
    assert told.startswith("3 of 12 cannot be replaced, so nothing was sent.\nline 2, document ")
    for part in ("Document not found", "\nline 3, ", "is empty", "\nline 4, ", "is a folder"):
        assert part in told
    assert accepted(service) == []


def test_the_others_are_replaced_if_that_is_wanted(
    service: Service, lines: list[Line], tmp_path: Path
) -> None:
    ran = Ran(service, spoil(lines, tmp_path), on_error="continue")
    assert ran.fates == {"refused": 3, "replaced": 9}
    assert len(accepted(service)) == 9
    with pytest.raises(BatchFailed, match="Of 12 replacements: 9 replaced, 3 refused"):
        require_well(ran.batch.items, ran.batch.stopped, None)


def test_what_is_there_already_is_not_sent(service: Service, lines: list[Line]) -> None:
    Ran(service, lines[:5])
    again = Ran(service, lines)
    assert again.fates == {"unchanged": 5, "replaced": 7}
    assert len(accepted(service)) == 12


def test_an_invalid_file_fails_alone_or_stops_the_rest(service: Service, lines: list[Line]) -> None:
    service.set(invalid_next=1)
    ran = Ran(service, lines, on_error="continue")
    assert ran.fates == {"failed": 1, "replaced": 11}
    service.reset()


def test_stopping_sends_no_more_and_still_proves_what_was_sent(service: Service, lines: list[Line]) -> None:
    service.fail("code:2", "upload.replace")
    ran = Ran(service, lines, on_error="stop")
    assert ran.fates == {"failed": 1, "not_sent": 11}
    assert accepted(service) == []


def test_a_volume_that_does_not_suffice_is_known_before(service: Service, lines: list[Line]) -> None:
    sizes = [Path(line.file).stat().st_size for line in lines]
    service.set(quota_left_bytes=sum(sizes[:7]) + 10)
    with pytest.raises(Refused, match=r"of this month's upload volume\. Nothing was sent"):
        Ran(service, lines)
    assert accepted(service) == []
    ran = Ran(service, lines, on_error="continue")
    assert ran.fates == {"replaced": 7, "not_sent": 5}
    assert len(accepted(service)) == 7
    # The next month.
    service.set(quota_left_bytes=10**9)
    assert Ran(service, lines).fates == {"unchanged": 7, "replaced": 5}
    assert len(accepted(service)) == 12


def test_a_volume_that_is_used_up_on_the_way_stops_cleanly(service: Service, lines: list[Line]) -> None:
    service.set(quota_left_bytes=sum(Path(line.file).stat().st_size for line in lines[:7]) + 10)
    ran = Ran(service, lines, on_error="continue", check_account=False, max_parallel_uploads=1)
    assert ran.fates == {"replaced": 7, "not_sent": 5}
    assert "volume is used up" in ran.batch.stopped
    assert carried(service, lines) == 7


def test_a_service_that_is_down_ends_it_for_now_and_a_retry_does_the_rest(
    service: Service, lines: list[Line]
) -> None:
    journal = MemoryBatchJournal()
    Ran(service, lines[:4], journal)
    service.fail("code:503", "upload.replace", times=3)
    ran = Ran(service, lines, journal)
    assert ran.batch.trouble is not None
    assert ran.fates["replaced"] == 4
    assert ran.fates["not_sent"] >= 5  # three were refused after their end, and may have arrived
    ran = Ran(service, lines, journal)
    assert (ran.batch.trouble, ran.fates) == (None, {"replaced": 12})
    assert len(accepted(service)) == 12


def test_one_transient_error_is_survived(service: Service, lines: list[Line]) -> None:
    service.fail("drop_before_reading", "upload.replace", times=1)
    assert Ran(service, lines).fates == {"replaced": 12}
    assert len(accepted(service)) == 12


def test_a_lost_answer_is_asked_for_and_nothing_sent_twice(service: Service, lines: list[Line]) -> None:
    service.fail("drop_after_accepting", "upload.replace", times=2)
    assert Ran(service, lines).fates == {"replaced": 12}
    assert sorted(entry["doc_id"] for entry in accepted(service)) == sorted(line.doc_id for line in lines)


def test_a_file_that_changed_since_the_plan_is_sent_as_it_is_now(
    service: Service, lines: list[Line], tmp_path: Path
) -> None:
    wanted, journal = order(on_error="continue"), MemoryBatchJournal()
    with service.client() as client:
        plan = plan_all(client, wanted, journal, lines)
        draw(Path(lines[3].file), "#00ff00")
        batch = Batch(client, wanted, journal, plan, poll_interval=0.3)
        batch.run(timeout=30)
    assert {item.fate for item in batch.items} == {"replaced"}
    assert carried(service, lines) == 12
    assert len(accepted(service)) == 12


def test_waiting_can_be_handed_over_and_taken_up_again(service: Service, lines: list[Line]) -> None:
    wanted, journal = order(), MemoryBatchJournal()
    with service.client() as client:
        batch = Batch(client, wanted, journal, plan_all(client, wanted, journal, lines), poll_interval=0.3)
        service.set(processing_seconds=2)
        waiting = batch.run(timeout=30, hand_over=True)
        assert isinstance(waiting, Waiting)
        assert set(waiting.tickets.values()) <= {line.doc_id for line in lines}
        assert len(accepted(service)) == 12
        again = Batch(client, wanted, journal, plan_again(journal), poll_interval=0.3)
        assert isinstance(
            again.run(timeout=30, hand_over=True), Waiting
        )  # it has looked, and nothing was ready
        time.sleep(2.2)
        again = Batch(client, wanted, journal, plan_again(journal), poll_interval=0.3)
        assert again.run(timeout=30, hand_over=True) is None
    assert [item.doc_id for item in again.items] == [line.doc_id for line in lines]
    assert {item.fate for item in again.items} == {"replaced"}
    assert len(accepted(service)) == 12


def test_a_limit_of_time_keeps_what_is_known(service: Service, lines: list[Line]) -> None:
    wanted, journal = order(), MemoryBatchJournal()
    Ran(service, lines[:1], journal)
    with service.client() as client:
        service.set(processing_seconds=600)
        plan = plan_all(client, wanted, journal, lines)
        with pytest.raises(NotFinished, match=r"Tickets not finished in time: 1\."):
            Batch(client, wanted, journal, plan, poll_interval=0.3).run(timeout=0.5)
    known = journal.load()
    assert sum(item.under_way for item in known.values()) == 1
    assert all(Item.from_json(json.loads(json.dumps(item.to_json()))) == item for item in known.values())


def test_a_cleared_task_proves_again_and_sends_only_what_has_changed(
    service: Service, lines: list[Line]
) -> None:
    journal = MemoryBatchJournal()
    Ran(service, lines, journal, run="1")
    draw(Path(lines[0].file), "#00ff00")
    ran = Ran(service, lines, journal, run="2")
    assert ran.fates == {"replaced": 1, "unchanged": 11} or ran.fates == {"replaced": 12}
    assert len(accepted(service)) == 13
    assert carried(service, lines) == 12
    assert Ran(service, lines, journal, run="3", force=True, if_unchanged="replace").fates == {"replaced": 12}
    assert len(accepted(service)) == 25


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"max_parallel_uploads": 0}, "max_parallel_uploads is 0"),
        ({"if_unchanged": "skip"}, "only a single file knows"),
        ({"verify": "sha"}, "verify is 'sha'"),
    ],
)
def test_an_impossible_option_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        order(**options)
