"""A bulk replacement as a task runs it, against the real service; its ledger is what counts."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.bulk.journal import BulkJournal
from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.bulk.rows import Row
from ipernity_provider.bulk.runner import BulkReplacement
from ipernity_provider.bulk.steps import BulkOptions
from ipernity_provider.replacement.errors import NotFinished
from ipernity_provider.replacement.request import Intent, ReplaceOptions
from tests.conftest import Service, draw

_OF_ALL = {"open_path", "on_error", "max_parallel_uploads"}


def make_lines(service: Service, folder: Path, count: int) -> list[ManifestLine]:
    """Documents of the account, each with a new file; no two have the same bytes."""
    doc_ids = service.add_documents(
        draw(folder / "old.jpg", f"#00{20 * n:02x}00") for n in range(count)
    )
    files = [draw(folder / f"new{n}.jpg", f"#ff{20 * n:02x}00") for n in range(count)]
    assert len({md5_of(str(file)) for file in files}) == count
    return [
        ManifestLine(doc_id, str(file), None, f"line {number}")
        for number, (doc_id, file) in enumerate(zip(doc_ids, files, strict=True), 2)
    ]


def options(**given: Any) -> BulkOptions:
    each: dict[str, Any] = {"proof_seconds": 2.0, "resend_grace": 4.0, "poll_interval": 0.3}
    each |= {name: value for name, value in given.items() if name not in _OF_ALL}
    of_all = {name: value for name, value in given.items() if name in _OF_ALL}
    return BulkOptions(each=ReplaceOptions(**each), **{"open_path": Path, **of_all})


def intent(name: str) -> Intent:
    return Intent(id=name)


class Ran:
    """A manifest that was carried out, as one try of a task does."""

    def __init__(
        self,
        service: Service,
        lines: list[ManifestLine],
        journal: BulkJournal | None = None,
        run: str = "",
        **given: Any,
    ) -> None:
        self.journal = journal or BulkJournal()
        with service.client() as client:
            self.bulk = BulkReplacement(client, options(**given), self.journal, intent=intent(run))
            self.bulk.inspect(lines)
            self.bulk.require_possible()
            assert self.bulk.run(timeout=30) == {}

    @property
    def rows(self) -> list[Row]:
        return self.bulk.rows

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(row.status for row in self.rows)


class CutShort:
    """A try that has proven its first row, has sent the others, and did not live to see their end.

    :ivar journal: what it has left.
    """

    def __init__(
        self,
        service: Service,
        lines: list[ManifestLine],
        *,
        processing: float = 3.0,
        **settings: Any,
    ) -> None:
        class Journal(BulkJournal):
            def save(self, *rows: Row) -> None:
                super().save(*rows)
                if [row.status for row in rows] == ["replaced"]:  # the first one alone
                    service.set(processing_seconds=processing, **settings)

        journal = Journal()
        with service.client() as client:
            bulk = BulkReplacement(client, options(), journal, intent=intent("1"))
            bulk.inspect(lines)
            with pytest.raises(NotFinished):
                bulk.run(timeout=0.8)
        self.journal = BulkJournal()
        self.journal.begin(list(journal.rows.values()))
        service.set(processing_seconds=0.2)
        assert len(accepted(service)) == len(lines)


class Killed(BaseException):
    """The process dies here."""


def killed_before_the_answer(service: Service, lines: list[ManifestLine]) -> BulkJournal:
    """Return the journal of a process that died between acceptance of the only file and answer."""

    class Journal(BulkJournal):
        def save(self, *rows: Row) -> None:
            if any(row.status == "sent" for row in rows):
                raise Killed
            super().save(*rows)

    journal = Journal()
    with service.client() as client:
        bulk = BulkReplacement(client, options(), journal)
        bulk.inspect(lines)
        with pytest.raises(Killed):
            bulk.run(timeout=5)
    left = BulkJournal()
    left.begin(list(journal.rows.values()))
    assert len(accepted(service)) == 1
    return left


def accepted(service: Service) -> list[dict[str, Any]]:
    return [entry for entry in service.ledger() if entry["method"] == "upload.replace"]


def sent_to(service: Service) -> Counter[str]:
    return Counter(entry["doc_id"] for entry in accepted(service))


def md5_of(file: str) -> str:
    return hashlib.md5(Path(file).read_bytes()).hexdigest()


def carried(service: Service, lines: list[ManifestLine]) -> int:
    """How many of the documents carry their files now."""
    with service.client() as client:
        return sum(client.get_document(line.doc_id).md5 == md5_of(line.file) for line in lines)
