"""What a batch makes of what an earlier try of it has left."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.errors import CredentialError, SourceUnreadable, TransientError
from ipernity_provider.replacement.batch import (
    Batch,
    Item,
    MemoryBatchJournal,
    Waiting,
    plan_again,
    plan_all,
    require_possible,
    require_well,
)
from ipernity_provider.replacement.batch.journal import JournalLost
from ipernity_provider.replacement.batch.report import BatchFailed
from ipernity_provider.replacement.manifest import Line
from ipernity_provider.replacement.order import NotFinished, Refused
from ipernity_provider.replacement.send import GivenUp
from scripts.rig import wait_for
from tests.conftest import Service, draw
from tests.replacement.test_batch import Ran, accepted, carried, make_lines, order


@pytest.fixture
def lines(service: Service, tmp_path: Path) -> list[Line]:
    return make_lines(service, tmp_path, 4)


class CutShort:
    """A batch that has proven its first item, has sent the others, and did not live to see their end.

    :ivar journal: what it has left.
    """

    def __init__(
        self, service: Service, lines: list[Line], *, processing: float = 3.0, **settings: Any
    ) -> None:
        self.journal = MemoryBatchJournal()
        wanted = order(run="1")
        with service.client() as client:
            plan = plan_all(client, wanted, self.journal, lines)
            self.batch = Batch(client, wanted, self.journal, plan, poll_interval=0.3)
            slow = threading.Thread(
                target=self._slow_down, args=(service, {"processing_seconds": processing, **settings})
            )
            slow.start()
            with pytest.raises(NotFinished):
                self.batch.run(timeout=0.8)
            slow.join()
        service.set(processing_seconds=0.2)
        assert len(accepted(service)) == len(lines)

    @staticmethod
    def _slow_down(service: Service, settings: dict[str, Any]) -> None:
        """Once the first one is through, that goes ahead of the others."""
        wait_for("the first upload", lambda: accepted(service), 20, every=0.02)
        service.set(**settings)


def sent_to(service: Service) -> Counter[str]:
    return Counter(entry["doc_id"] for entry in accepted(service))


def md5_of(file: str) -> str:
    return hashlib.md5(Path(file).read_bytes()).hexdigest()


def test_what_is_no_longer_in_the_manifest_is_not_sent(service: Service, lines: list[Line]) -> None:
    journal = MemoryBatchJournal()
    with service.client() as client:
        plan_all(client, order(run="1"), journal, lines)  # as a dry run does
        plan_all(client, order(run="2"), journal, lines[:2])
        again = Batch(client, order(run="2"), journal, plan_again(journal), poll_interval=0.3)
        again.run(timeout=30)
    assert set(sent_to(service)) == {line.doc_id for line in lines[:2]}


def test_what_was_sent_for_an_earlier_manifest_is_still_proven(service: Service, lines: list[Line]) -> None:
    journal = CutShort(service, lines).journal
    ran = Ran(service, lines[:1], journal, run="2")
    assert ran.fates == {"replaced": 4}
    assert [item.where for item in ran.batch.items][1:] == [
        f"{line.where} of an earlier manifest" for line in lines[1:]
    ]
    assert sent_to(service) == dict.fromkeys((line.doc_id for line in lines), 1)


def test_a_file_that_was_corrected_while_its_upload_was_under_way_is_sent(
    service: Service, lines: list[Line]
) -> None:
    journal = CutShort(service, lines).journal
    draw(Path(lines[2].file), "#00ff00")
    ran = Ran(service, lines, journal, run="2")
    assert set(ran.fates) == {"replaced"}
    assert carried(service, lines) == 4
    assert sent_to(service)[lines[2].doc_id] == 2
    assert sum(sent_to(service).values()) == 5


def test_the_same_bytes_under_another_name_are_not_sent_twice(
    service: Service, lines: list[Line], tmp_path: Path
) -> None:
    journal = CutShort(service, lines).journal
    moved = []
    (tmp_path / "later").mkdir()
    for line in lines:
        file = Path(line.file)
        moved.append(Line(line.doc_id, str(file.rename(tmp_path / "later" / file.name)), None, line.where))
    assert set(Ran(service, moved, journal, run="2").fates) == {"replaced"}
    assert set(sent_to(service).values()) == {1}


def test_a_file_that_is_gone_since_it_was_sent_is_proven_all_the_same(
    service: Service, lines: list[Line]
) -> None:
    journal = CutShort(service, lines).journal
    Path(lines[2].file).unlink()
    assert Ran(service, lines, journal, run="1").fates == {"replaced": 4}
    assert set(sent_to(service).values()) == {1}


def test_what_an_earlier_try_has_sent_is_proven_even_if_nothing_more_may_be(
    service: Service, lines: list[Line]
) -> None:
    journal = CutShort(service, lines[:3]).journal
    Path(lines[3].file).unlink()
    ran = Ran(service, lines, journal, run="1")
    assert ran.fates == {"replaced": 3, "refused": 1}
    with pytest.raises(BatchFailed) as caught:
        require_well(ran.batch.items, ran.batch.stopped, None)
    told = str(caught.value)
    assert "Of 4 replacements: 3 replaced, 1 refused." in told
    assert "Nothing more was sent, because 1 of 4 cannot be replaced." in told


def test_what_was_refused_is_refused_again(service: Service, lines: list[Line], tmp_path: Path) -> None:
    sound = tmp_path / "horn.mp3"
    sound.write_bytes(b"ID3\x03" + bytes(2000))
    wrong = [*lines[:2], Line(lines[2].doc_id, str(sound), None, "line 4")]
    journal = MemoryBatchJournal()
    for _ in range(2):
        with pytest.raises(Refused, match=r"(?s)1 of 3 cannot be replaced.*of class audio"):
            Ran(service, wrong, journal)
    for _ in range(2):
        with pytest.raises(Refused, match="lies outside the folders"):
            Ran(service, lines, journal, upload_roots=[("/nowhere",)])
    assert accepted(service) == []


def test_each_retry_looks_at_what_was_sent_before_it_sends_more(service: Service, tmp_path: Path) -> None:
    lines = make_lines(service, tmp_path, 8)
    journal = CutShort(service, lines[:3], replace_mode="new_document").journal
    for _ in range(3):
        ran = Ran(service, lines, journal, run="1")
        # One more may have been sent ahead while those of the earlier try were pending.
        assert ran.fates == {"replaced": 1, "new_document": 3, "not_sent": 4}
        with pytest.raises(BatchFailed, match="new document"):
            require_well(ran.batch.items, ran.batch.stopped, None)
    assert len(accepted(service)) == 4


def test_a_service_that_fails_while_a_replacement_is_proven_is_asked_again(
    service: Service, lines: list[Line]
) -> None:
    service.set(processing_seconds=1.0)
    ended: list[Ran] = []
    thread = threading.Thread(
        target=lambda: ended.append(Ran(service, lines, on_new_document="keep", max_parallel_uploads=1))
    )
    thread.start()
    wait_for("the first upload", lambda: accepted(service), 20, every=0.05)
    service.fail("code:503", "doc.get", times=4)
    thread.join(60)
    (ran,) = ended
    assert (ran.fates, ran.batch.trouble) == ({"replaced": 4}, None)


def test_a_cleared_task_needs_no_volume_for_what_is_there(service: Service, lines: list[Line]) -> None:
    journal = MemoryBatchJournal()
    Ran(service, lines, journal, run="1")
    service.set(quota_left_bytes=0)
    for run in ("2", "3"):
        ran = Ran(service, lines, journal, run=run)
        assert ran.fates == {"replaced": 4}
        for item in ran.batch.items:
            assert item.md5_before not in {None, item.md5}
    assert set(sent_to(service).values()) == {1}


def test_what_the_service_would_not_have_is_not_sent_again_by_a_retry(
    service: Service, lines: list[Line]
) -> None:
    journal = MemoryBatchJournal()
    service.set(invalid_next=1)
    for run, fates in (("1", {"failed": 1, "replaced": 3}),) * 2 + (("2", {"replaced": 4}),):
        ran = Ran(service, lines, journal, on_error="continue", run=run)
        assert ran.fates == fates
        for item in ran.batch.items:
            assert item.ticket
    assert len(accepted(service)) == 5


def test_what_was_not_sent_says_so_when_time_runs_out(service: Service, lines: list[Line]) -> None:
    service.set(processing_seconds=600)
    with service.client() as client:
        journal = MemoryBatchJournal()
        batch = Batch(client, order(), journal, plan_all(client, order(), journal, lines), poll_interval=0.3)
        with pytest.raises(NotFinished):
            batch.run(timeout=0.3)
    assert [item.outcome for item in batch.items] == ["sent", "not_sent", "not_sent", "not_sent"]


def test_giving_up_breaks_uploads_off_and_a_later_try_sends_at_once(
    service: Service, lines: list[Line]
) -> None:
    lines = lines[:2]
    for line in lines:
        # More than the buffers on the way take in at once.
        os.truncate(line.file, 64_000_000)
    service.set(receive_bytes_per_second=4_000_000)
    journal, wanted = MemoryBatchJournal(), order(resend_grace=60.0)
    with service.client() as client:
        given_up = threading.Event()
        plan = plan_all(client, wanted, journal, lines)
        batch = Batch(client, wanted, journal, plan, poll_interval=0.3, given_up=given_up)
        threading.Timer(1.5, given_up.set).start()
        begun = time.monotonic()
        with pytest.raises(GivenUp):
            batch.run(timeout=30)
        assert time.monotonic() - begun < 6
    assert {item.outcome for item in batch.items} == {"not_sent"}
    assert accepted(service) == []
    service.set(receive_bytes_per_second=None)
    assert Ran(service, lines, journal, resend_grace=60.0).fates == {"replaced": 2}
    assert time.monotonic() - begun < 40
    assert set(sent_to(service).values()) == {1}


def test_a_file_that_cannot_be_read_for_now_holds_up_no_other(service: Service, lines: list[Line]) -> None:
    unreadable = Line(lines[0].doc_id, "/proc/self/mem", "boat.jpg", "line 2")
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        Ran(service, [unreadable, *lines[1:]])
    assert accepted(service) == []
    ran = Ran(service, [unreadable, *lines[1:]], on_error="continue")
    assert ran.fates == {"not_sent": 1, "replaced": 3}
    assert isinstance(ran.batch.trouble, SourceUnreadable)


def test_a_token_that_is_refused_ends_the_plan(service: Service, lines: list[Line]) -> None:
    service.fail("code:107", "doc.get")
    with pytest.raises(CredentialError):
        Ran(service, lines, on_error="continue")


def test_a_journal_that_was_emptied_is_no_success(service: Service) -> None:
    with pytest.raises(JournalLost, match="was deleted while it waited"):
        plan_again(MemoryBatchJournal())


def test_a_waiting_that_is_handed_over_sends_nothing_more(service: Service, lines: list[Line]) -> None:
    """Stopped by one, the others unsent: whoever goes on finds them so."""
    service.set(processing_seconds=1.0)
    journal = MemoryBatchJournal()
    Ran(service, lines[:1], journal)
    big = sum(Path(line.file).stat().st_size for line in lines[1:3])
    service.set(quota_left_bytes=big, processing_seconds=1.0)
    wanted = order(on_error="continue", max_parallel_uploads=1)
    with service.client() as client:
        plan = plan_all(client, wanted, journal, lines)
        assert require_possible(plan, wanted) == ""
        assert isinstance(
            Batch(client, wanted, journal, plan, poll_interval=0.3).run(30, hand_over=True), Waiting
        )
        service.set(quota_left_bytes=10**9)
        time.sleep(1.2)
        again = Batch(client, wanted, journal, plan_again(journal), poll_interval=0.3)
        assert again.run(30) is None
    assert [item.outcome for item in again.items] == ["replaced", "replaced", "replaced", "not_sent"]
    assert len(accepted(service)) == 3


def test_what_failed_for_good_stops_a_retry_too(service: Service, lines: list[Line]) -> None:
    journal, wanted = MemoryBatchJournal(), order()
    service.set(processing_seconds=0.2)
    with service.client() as client:
        plan = plan_all(client, wanted, journal, lines)
        batch = Batch(client, wanted, journal, plan, poll_interval=0.3)
        service.set(invalid_next=1)
        batch.run(timeout=30)
    assert [item.fate for item in batch.items] == ["failed", "not_sent", "not_sent", "not_sent"]
    for _ in range(2):
        ran = Ran(service, lines, journal)
        assert ran.fates == {"failed": 1, "not_sent": 3}
    assert len(accepted(service)) == 1


def test_a_forced_batch_lets_the_upload_of_other_bytes_end_first(service: Service, lines: list[Line]) -> None:
    journal = CutShort(service, lines).journal
    for number, line in enumerate(lines):
        draw(Path(line.file), f"#00ff{number * 40:02x}")
    ran = Ran(service, lines, journal, run="2", force=True, resend_grace=20.0)
    assert ran.fates == {"replaced": 4}
    time.sleep(3)
    assert carried(service, lines) == 4
    assert set(sent_to(service).values()) == {2}


def test_a_file_that_changed_before_its_turn_is_known_as_sent(service: Service, lines: list[Line]) -> None:
    journal, wanted = MemoryBatchJournal(), order(max_parallel_uploads=1)
    with service.client() as client:
        plan = plan_all(client, wanted, journal, lines[:1])
        draw(Path(lines[0].file), "#00ff00")
        service.set(processing_seconds=1.0)
        batch = Batch(client, wanted, journal, plan, poll_interval=0.3)
        with pytest.raises(NotFinished):
            batch.run(timeout=0.1)
        assert [item.outcome for item in batch.items] == ["sent"]
        assert [item.outcome for item in plan_again(journal).items] == ["sent"]
    assert Ran(service, lines[:1], journal).fates == {"replaced": 1}
    assert len(accepted(service)) == 1


class Killed(BaseException):
    """The process dies here."""


def killed_before_the_answer(service: Service, lines: list[Line]) -> MemoryBatchJournal:
    """The journal of a batch whose process died when the service had taken the only file and not yet answered."""

    class Journal(MemoryBatchJournal):
        def save(self, *items: Item) -> None:
            if any(item.under_way for item in items):
                raise Killed
            super().save(*items)

    journal, wanted = Journal(), order()
    with service.client() as client:
        plan = plan_all(client, wanted, journal, lines)
        with pytest.raises(Killed):
            Batch(client, wanted, journal, plan, poll_interval=0.3).run(timeout=5)
    kept = MemoryBatchJournal()
    kept.begin(list(journal.load().values()))
    assert len(accepted(service)) == 1
    return kept


def test_an_upload_of_unknown_fate_is_remembered_while_its_line_is_away(
    service: Service, lines: list[Line]
) -> None:
    journal = killed_before_the_answer(service, lines[:1])
    ran = Ran(service, lines[1:3], journal, run="2")
    assert ran.fates == {"replaced": 2}
    assert Ran(service, lines[:3], journal, run="3").fates == {"replaced": 3}
    assert set(sent_to(service).values()) == {1}


def test_an_upload_of_unknown_fate_whose_file_is_gone_is_uncertain(
    service: Service, lines: list[Line]
) -> None:
    journal = killed_before_the_answer(service, lines[:1])
    Path(lines[0].file).unlink()
    ran = Ran(service, lines, journal, on_error="continue")
    assert ran.fates == {"uncertain": 1, "replaced": 3}
    assert "nobody can tell whether it arrived" in ran.batch.items[0].error
    assert "Nothing was sent" not in ran.batch.items[0].error


def test_one_document_in_trouble_holds_up_no_other_and_a_service_in_trouble_ends_the_plan(
    service: Service, lines: list[Line]
) -> None:
    service.fail("http:500", "doc.get", times=4)
    ran = Ran(service, lines, on_error="continue", max_parallel_uploads=1)
    assert ran.fates == {"not_sent": 1, "replaced": 3}
    assert isinstance(ran.batch.trouble, TransientError)
    service.fail("http:500", "doc.get", times=12)
    with pytest.raises(TransientError):
        Ran(service, lines, on_error="continue", max_parallel_uploads=1)


def test_giving_up_does_not_wait_for_an_upload_of_other_bytes(service: Service, lines: list[Line]) -> None:
    journal = CutShort(service, lines, processing=60.0).journal
    draw(Path(lines[2].file), "#00ff00")
    wanted, given_up = order(run="2", resend_grace=60.0), threading.Event()
    with service.client() as client:
        plan = plan_all(client, wanted, journal, lines)
        batch = Batch(client, wanted, journal, plan, poll_interval=0.3, given_up=given_up)
        threading.Timer(1.0, given_up.set).start()
        begun = time.monotonic()
        with pytest.raises(GivenUp):
            batch.run(timeout=30)
        assert time.monotonic() - begun < 15


def test_a_proof_that_comes_while_the_task_is_cut_off_counts(service: Service, lines: list[Line]) -> None:
    """As Airflow does when a task's time is over: an exception, wherever the main thread is."""

    class Journal(MemoryBatchJournal):
        def save(self, *items: Item) -> None:
            super().save(*items)
            if any(item.under_way for item in items):
                service.fail("slow:2", "doc.get")
                threading.Timer(0.9, os.kill, (os.getpid(), signal.SIGUSR1)).start()

    def cut_off(*_: object) -> None:
        raise Killed

    journal, wanted = Journal(), order()
    before = signal.signal(signal.SIGUSR1, cut_off)
    try:
        with service.client() as client:
            plan = plan_all(client, wanted, journal, lines[:1])
            batch = Batch(client, wanted, journal, plan, poll_interval=0.2)
            with pytest.raises(Killed):
                batch.run(timeout=30)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [item.outcome for item in batch.items] == ["replaced"]
    assert [item.outcome for item in journal.load().values()] == ["replaced"]
