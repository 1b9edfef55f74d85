"""What a batch makes of what an earlier try of it has left."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.errors import CredentialError, SourceUnreadable
from ipernity_provider.replacement.batch import (
    Batch,
    MemoryBatchJournal,
    Waiting,
    plan_again,
    plan_all,
    require_possible,
    require_well,
)
from ipernity_provider.replacement.batch.item import JournalLost
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
        with pytest.raises(Refused, match=r"1 of 3 cannot be replaced.*of class audio"):
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
        batch = Batch(client, wanted, journal, plan_all(client, wanted, journal, lines), poll_interval=0.3)
        threading.Timer(1.5, batch.give_up).start()
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
