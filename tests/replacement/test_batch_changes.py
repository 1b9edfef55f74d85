"""What a batch makes of a manifest, a file or a service that has changed between two tries."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import ServiceFault, SourceUnreadable
from ipernity_provider.api.models import Document
from ipernity_provider.replacement.batch import (
    Batch,
    Item,
    MemoryBatchJournal,
    plan_all,
    require_possible,
    require_well,
)
from ipernity_provider.replacement.batch.report import BatchFailed
from ipernity_provider.replacement.manifest import Line
from tests.conftest import Service, draw
from tests.replacement.test_batch import Ran, accepted, carried, make_lines, order
from tests.replacement.test_batch_again import CutShort, killed_before_the_answer, sent_to


@pytest.fixture
def lines(service: Service, tmp_path: Path) -> list[Line]:
    return make_lines(service, tmp_path, 4)


def missing(folder: Path) -> Line:
    return Line("5412", str(folder / "nowhere.jpg"), None, "line 99")


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_row_that_names_another_file_now_is_not_proven_by_the_old_one(
    service: Service, lines: list[Line], tmp_path: Path, on_error: str
) -> None:
    journal = CutShort(service, lines).journal
    corrected = tmp_path / "corrected.jpg"
    lines = [*lines[:2], replace(lines[2], file=str(corrected)), lines[3]]
    for _ in range(2):  # a try that was cut off must not make the next one forget it
        ran = Ran(service, lines, journal, run="1", on_error=on_error)
        assert ran.batch.items[2].fate in {"refused", "uncertain"}
        assert "corrected.jpg does not exist" in ran.batch.items[2].error
        with pytest.raises(BatchFailed):
            require_well(ran.batch.items, ran.batch.stopped, None)
    draw(corrected, "#123456")
    assert Ran(service, lines, journal, run="1", on_error=on_error).fates == {"replaced": 4}
    assert carried(service, lines) == 4
    assert sent_to(service) == {line.doc_id: 2 if line is lines[2] else 1 for line in lines}


def test_an_upload_of_other_bytes_without_an_answer_is_let_end_first(
    service: Service, lines: list[Line]
) -> None:
    service.set(processing_seconds=3.0)
    journal = killed_before_the_answer(service, lines[:1])
    draw(Path(lines[0].file), "#00ff00")
    service.set(processing_seconds=0.2)
    ran = Ran(service, lines[:1], journal, run="1", resend_grace=60.0)
    assert ran.fates == {"replaced": 1}
    time.sleep(3.5)  # by now the other bytes would have come last
    assert carried(service, lines[:1]) == 1


def test_an_upload_of_unknown_fate_is_remembered_whatever_was_told_of_it(
    service: Service, lines: list[Line], tmp_path: Path
) -> None:
    service.set(replace_mode="new_document")
    journal = killed_before_the_answer(service, lines[:1])
    time.sleep(0.6)
    told = Ran(service, [lines[0], missing(tmp_path)], journal, run="2")
    assert told.fates == {"uncertain": 1, "refused": 1}
    service.set(replace_mode="in_place")
    assert Ran(service, [lines[1]], journal, run="3").fates == {"replaced": 1}
    assert Ran(service, [lines[0]], journal, run="4").fates == {"new_document": 1}
    assert sent_to(service)[lines[0].doc_id] == 1


def test_what_was_not_proven_is_remembered_while_its_line_is_away(
    service: Service, lines: list[Line]
) -> None:
    service.set(md5_member="none", rewrite_bytes=True)
    journal = MemoryBatchJournal()
    assert Ran(service, lines[:1], journal, run="1", verify="md5").fates == {"failed": 1}
    assert Ran(service, lines[1:2], journal, run="2").fates == {"replaced": 1}
    assert Ran(service, lines[:1], journal, run="3").fates == {"replaced": 1}
    assert sent_to(service)[lines[0].doc_id] == 1


def test_an_upload_of_other_bytes_that_became_a_new_document_is_told(
    service: Service, lines: list[Line], tmp_path: Path
) -> None:
    journal = CutShort(service, lines, processing=1.0, replace_mode="new_document").journal
    draw(Path(lines[2].file), "#00ff00")
    time.sleep(1.2)
    service.set(replace_mode="in_place")
    ran = Ran(service, [*lines, missing(tmp_path)], journal, run="2")
    assert [item.fate for item in ran.batch.items[1:]] == ["new_document"] * 3 + ["refused"]
    assert ran.batch.stopped.endswith("became a new document")


def test_an_upload_of_other_bytes_whose_end_nobody_has_seen_is_uncertain(
    service: Service, lines: list[Line], tmp_path: Path
) -> None:
    journal = CutShort(service, lines, processing=3.0).journal
    draw(Path(lines[2].file), "#00ff00")
    ran = Ran(service, [*lines, missing(tmp_path)], journal, run="2")
    assert ran.fates == {"replaced": 3, "uncertain": 1, "refused": 1}
    doubted = ran.batch.items[2]
    assert "An earlier upload for it, ticket " in doubted.error
    assert doubted.ticket


def test_a_file_that_cannot_be_read_for_now_leaves_its_upload_in_doubt(
    service: Service, lines: list[Line]
) -> None:
    journal = killed_before_the_answer(service, lines[:1])

    def opened(text: str) -> Path:
        raise SourceUnreadable(f"{text} cannot be read: its storage answers 503. Nothing was sent.")

    wanted = order(run="1", on_error="stop", open_path=opened)
    with service.client() as client:
        plan = plan_all(client, wanted, journal, lines[:1])
        batch = Batch(client, wanted, journal, plan, stopped=require_possible(plan, wanted))
        batch.run(timeout=5)
    (item,) = batch.items
    assert item.fate == "uncertain"
    assert "answers 503. Its upload was begun" in item.error
    assert isinstance(batch.trouble, SourceUnreadable)  # so that a later try is made, which asks
    assert Ran(service, lines[:1], journal, run="1").fates == {"replaced": 1}
    assert len(accepted(service)) == 1


class LosingAnswers(MemoryBatchJournal):
    """Lets the service fail at the uploads that follow the one that goes ahead."""

    def __init__(self, service: Service, ahead: str, *kinds: str) -> None:
        super().__init__()
        self._service, self._ahead = service, ahead
        self._faults = [{"method": "upload.replace", "kind": kind} for kind in kinds]

    def save(self, *items: Item) -> None:
        super().save(*items)
        through = any(item.doc_id == self._ahead and item.fate == "new_document" for item in items)
        if through and self._faults:
            self._service.set(faults=self._faults)
            self._faults = []


def test_an_upload_that_never_arrived_is_not_proven_by_the_new_document_of_another(
    service: Service, tmp_path: Path
) -> None:
    lines = make_lines(service, tmp_path, 3)
    lines[2] = replace(lines[2], file=lines[1].file)
    service.set(replace_mode="new_document")

    journal = LosingAnswers(service, lines[0].doc_id, "http:500")  # one of the other two is not taken
    options: dict[str, Any] = {"on_new_document": "keep", "resend_grace": 4.0}
    ran = Ran(service, lines, journal, on_error="continue", **options)
    told = Counter(item.new_doc_id for item in ran.batch.items if item.new_doc_id)
    assert set(told.values()) == {1}
    assert len(told) == len(accepted(service))
    # A later try finds out, for the ticket of the other tells what is whose.
    assert Ran(service, lines, journal, **options).fates == {"new_document": 3}
    assert set(sent_to(service).values()) == {1}
    assert len(accepted(service)) == 3


def test_two_lost_answers_and_one_new_document_are_both_in_doubt(service: Service, tmp_path: Path) -> None:
    """Nobody can tell whose upload it came of, so neither counts."""
    lines = make_lines(service, tmp_path, 3)
    lines[2] = replace(lines[2], file=lines[1].file)
    service.set(replace_mode="new_document")

    journal = LosingAnswers(service, lines[0].doc_id, "drop_after_accepting", "http:500")
    ran = Ran(service, lines, journal, on_new_document="keep", on_error="continue", resend_grace=8.0)
    assert len(accepted(service)) == 2
    assert ran.fates == {"new_document": 1, "uncertain": 2}
    assert all("has its bytes, but so has the file of" in item.error for item in ran.batch.items[1:])


def test_a_file_that_was_changed_since_it_was_sent_is_sent_by_the_retry(
    service: Service, lines: list[Line]
) -> None:
    journal = MemoryBatchJournal()
    Ran(service, lines, journal, run="1")
    draw(Path(lines[1].file), "#00ff00")
    Path(lines[2].file).touch()  # another date, the same bytes
    Path(lines[3].file).unlink()
    assert Ran(service, lines, journal, run="1").fates == {"replaced": 4}
    assert sent_to(service) == {line.doc_id: 2 if line is lines[1] else 1 for line in lines}
    assert carried(service, lines[:3]) == 3


def test_one_document_that_cannot_be_read_holds_up_no_other(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = make_lines(service, tmp_path, 8)
    journal = CutShort(service, lines[:4]).journal
    time.sleep(3.2)
    get_document = IpernityClient.get_document

    def all_but_one(client: IpernityClient, doc_id: str) -> Document:
        if doc_id == lines[1].doc_id:
            raise ServiceFault("doc.get: Service error (code 500).", method="doc.get", code=500)
        return get_document(client, doc_id)

    with monkeypatch.context() as patched:
        patched.setattr(IpernityClient, "get_document", all_but_one)
        ran = Ran(service, lines, journal, run="1", on_error="continue")
    assert Counter(item.outcome for item in ran.batch.items) == {"replaced": 7, "sent": 1}
    assert isinstance(ran.batch.trouble, ServiceFault)
    assert Ran(service, lines, journal, run="1").fates == {"replaced": 8}
    assert set(sent_to(service).values()) == {1}
