"""The report of a task of many documents, as a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ipernity_provider.plugins.entries import STATUSES, Transfer, read_transfer
from ipernity_provider.plugins.places import NotShown, read_place
from ipernity_provider.text import clean_text, without_query

MOST_BYTES = 16 << 20
#: A browser sorts so many rows at once.
MOST_ROWS = 5000
_NOT_A_REPORT = "It is not a report of ReplaceFilesOperator, so it is not shown."


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """What has become of one document; see :func:`ipernity_provider.bulk.report.write_report`."""

    doc_id: str
    file: str
    outcome: str
    where: str
    bytes: int | None
    proof: str
    new_doc_id: str
    backup: str | None
    foreseen: str
    error: str
    transfer: Transfer


@dataclass(frozen=True)
class Report:
    """The first rows of a report, and the counts of all of them."""

    rows: tuple[ReportRow, ...]
    total: int
    counts: Mapping[str, int]

    def row_of(self, doc_id: str) -> ReportRow | None:
        return next((row for row in self.rows if row.doc_id == doc_id), None)


def load_report(place: str) -> Report:
    """Read a report from where its task has written it.

    :raises NotShown: it cannot be read from here, or is not a report.
    """
    return parse_report(read_place(place, MOST_BYTES))


def parse_report(data: bytes) -> Report:
    """Return the rows of a report.

    Each line must be a row of ours: of any other file, nothing is shown.

    :raises NotShown: it is not a report.
    """
    try:
        lines = [json.loads(line) for line in data.decode().splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise NotShown(_NOT_A_REPORT) from None
    if not all(_is_row(line) for line in lines):
        raise NotShown(_NOT_A_REPORT)
    counts = Counter(str(line["outcome"]) for line in lines)
    rows = tuple(_row(line) for line in lines[:MOST_ROWS])
    return Report(rows, len(lines), {name: counts[name] for name in STATUSES if counts[name]})


def _is_row(line: Any) -> bool:
    return (
        isinstance(line, dict)
        and {"doc_id", "file", "where", "outcome", "proof", "error"} <= line.keys()
        and line["outcome"] in STATUSES
    )


def _row(line: Mapping[str, Any]) -> ReportRow:
    def text(name: str, longest: int = 300) -> str:
        value = line.get(name)
        return clean_text(str(value), longest) if value is not None else ""

    size, backup = line.get("bytes"), line.get("backup")
    return ReportRow(
        doc_id=text("doc_id", 20),
        file=without_query(text("file", 1000)),
        outcome=text("outcome"),
        where=text("where"),
        bytes=size if isinstance(size, int) and not isinstance(size, bool) else None,
        proof=text("proof", 20),
        new_doc_id=text("new_doc_id", 20),
        backup=backup if isinstance(backup, str) and backup else None,
        foreseen=text("foreseen", 1000),
        error=text("error", 1000),
        transfer=read_transfer(line),
    )
