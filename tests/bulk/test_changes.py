"""What a try makes of a manifest, a file or a service that has changed since the last one."""

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
from ipernity_provider.bulk.journal import BulkJournal
from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.bulk.report import BulkFailed, require_success
from ipernity_provider.bulk.rows import Row
from ipernity_provider.replacement.errors import OtherUploadPending
from tests.bulk.rig import (
    CutShort,
    Ran,
    accepted,
    carried,
    killed_before_the_answer,
    make_lines,
    sent_to,
)
from tests.conftest import Service, draw


@pytest.fixture
def lines(service: Service, tmp_path: Path) -> list[ManifestLine]:
    return make_lines(service, tmp_path, 4)


def missing(folder: Path) -> ManifestLine:
    return ManifestLine("5412", str(folder / "nowhere.jpg"), None, "line 99")


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_row_that_names_another_file_now_is_not_proven_by_the_old_one(
    service: Service, lines: list[ManifestLine], tmp_path: Path, on_error: str
) -> None:
    journal = CutShort(service, lines).journal
    corrected = tmp_path / "corrected.jpg"
    lines = [*lines[:2], replace(lines[2], file=str(corrected)), lines[3]]
    for _ in range(2):  # a try that was cut off must not make the next one forget it
        ran = Ran(service, lines, journal, run="1", on_error=on_error)
        assert ran.rows[2].status == "uncertain"
        assert "corrected.jpg does not exist. An earlier upload (ticket " in ran.rows[2].error
        with pytest.raises(BulkFailed):
            require_success(ran.rows, ran.bulk.stop, ran.bulk.last_error, None)
    draw(corrected, "#123456")
    time.sleep(3.0)  # until the old one is processed
    assert Ran(service, lines, journal, run="1", on_error=on_error).outcomes == {"replaced": 4}
    assert carried(service, lines) == 4
    assert sent_to(service) == {line.doc_id: 2 if line is lines[2] else 1 for line in lines}


def test_other_bytes_are_not_sent_while_an_unanswered_upload_may_come_last(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.set(processing_seconds=3.0)
    journal = killed_before_the_answer(service, lines[:1])
    draw(Path(lines[0].file), "#00ff00")
    service.set(processing_seconds=0.2)
    ran = Ran(service, lines[:1], journal, run="1", resend_grace=60.0)
    assert ran.outcomes == {"uncertain": 1}
    assert isinstance(ran.bulk.last_error, OtherUploadPending)
    assert len(accepted(service)) == 1
    time.sleep(3.2)
    assert Ran(service, lines[:1], journal, run="1", resend_grace=60.0).outcomes == {"replaced": 1}
    assert carried(service, lines[:1]) == 1
    assert len(accepted(service)) == 2


def test_what_was_not_proven_is_remembered_while_its_row_is_away(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.set(md5_member="none", rewrite_bytes=True)
    journal = BulkJournal()
    assert Ran(service, lines[:1], journal, run="1", proof="md5").outcomes == {"failed": 1}
    assert Ran(service, lines[1:2], journal, run="2", proof="changed").outcomes == {"replaced": 1}
    assert Ran(service, lines[:1], journal, run="3", proof="changed").outcomes == {"replaced": 1}
    assert sent_to(service)[lines[0].doc_id] == 1


def test_a_file_that_cannot_be_read_for_now_leaves_another_upload_uncertain(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = CutShort(service, lines[:2]).journal
    moved = [lines[0], replace(lines[1], file="s3://media/new1.jpg")]

    def opened(text: str) -> Path:
        if text.startswith("s3:"):
            raise SourceUnreadable(
                f"{text} cannot be read: its storage answers 503. Nothing was sent."
            )
        return Path(text)

    ran = Ran(service, moved, journal, run="1", open_path=opened)
    assert ran.outcomes == {"replaced": 1, "uncertain": 1}
    assert "answers 503. An earlier upload (ticket " in ran.rows[1].error
    assert isinstance(ran.bulk.last_error, SourceUnreadable)  # so that a later try is made
    time.sleep(3.0)
    assert Ran(service, lines[:2], journal, run="1").outcomes == {"replaced": 2}
    assert set(sent_to(service).values()) == {1}


class LosingAnswers(BulkJournal):
    """Lets the service fail at the uploads that follow the canary."""

    def __init__(self, service: Service, canary: str, *kinds: str) -> None:
        super().__init__()
        self._service, self._canary = service, canary
        self._faults = [{"method": "upload.replace", "kind": kind} for kind in kinds]

    def save(self, *rows: Row) -> None:
        super().save(*rows)
        if self._faults and any(
            row.doc_id == self._canary and row.status == "new_document" for row in rows
        ):
            self._service.set(faults=self._faults)
            self._faults = []


@pytest.mark.parametrize("faults", [("http:500",), ("drop_after_accepting", "http:500")])
def test_rows_with_the_same_bytes_never_claim_one_anothers_new_documents(
    service: Service, tmp_path: Path, faults: tuple[str, ...]
) -> None:
    """Whose upload a new document came of is known by a ticket only."""
    lines = make_lines(service, tmp_path, 3)
    lines[2] = replace(lines[2], file=lines[1].file)
    service.set(replace_mode="new_document")
    journal = LosingAnswers(service, lines[0].doc_id, *faults)
    wanted: dict[str, Any] = {"on_new_document": "keep", "resend_grace": 4.0}
    for _ in range(2):
        ran = Ran(service, lines, journal, on_error="continue", **wanted)
        claimed = Counter(row.new_doc_id for row in ran.rows if row.new_doc_id)
        assert set(claimed.values()) == {1}
        assert all(row.ticket for row in ran.rows if row.new_doc_id)
        assert set(ran.outcomes) <= {"new_document", "uncertain"}
        assert all(count == 1 for count in sent_to(service).values())


def test_a_file_that_was_changed_since_it_was_sent_is_sent_by_the_retry(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = BulkJournal()
    Ran(service, lines, journal, run="1")
    draw(Path(lines[1].file), "#00ff00")
    Path(lines[2].file).touch()  # another date, the same bytes
    Path(lines[3].file).unlink()
    assert Ran(service, lines, journal, run="1").outcomes == {"replaced": 4}
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
    assert ran.outcomes == {"replaced": 7, "sent": 1}
    assert isinstance(ran.bulk.last_error, ServiceFault)
    assert Ran(service, lines, journal, run="1").outcomes == {"replaced": 8}
    assert set(sent_to(service).values()) == {1}
