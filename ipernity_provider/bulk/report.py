"""What has become of each row, and of all together."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from ipernity_provider.api.errors import PermanentError, TransientError
from ipernity_provider.bulk.rows import Row, Status
from ipernity_provider.bulk.scheduler import Stop
from ipernity_provider.files.errors import file_error
from ipernity_provider.files.writing import atomic_write, make_folder
from ipernity_provider.text import summarize, without_query

_SENT = {"replaced", "new_document", "transferred"}
_OUTCOMES: tuple[Status, ...] = get_args(Status)
_UNPRINTABLE = re.compile(r"[^ -~]")


class ReportNotWritten(PermanentError):
    """The report cannot be written to its place; what was replaced is replaced anyway."""


class ReportNotYetWritten(TransientError):
    """The report could not be written for now; a later try may succeed."""


class BulkFailed(PermanentError):
    """Some rows of a manifest were not replaced."""


def summarize_rows(rows: Sequence[Row], report: str | None) -> dict[str, Any]:
    """Return how many rows have each outcome, and the bytes that were sent; JSON-simple."""
    counts = Counter(row.status for row in rows)
    sent = sum(row.bytes or 0 for row in rows if row.ticket and row.status in _SENT)
    return {
        "total": len(rows),
        **{outcome: counts[outcome] for outcome in _OUTCOMES},
        "bytes_sent": sent,
        "report": report,
    }


def require_success(
    rows: Sequence[Row], stop: Stop | None, last_error: TransientError | None, report: str | None
) -> None:
    """Require that each document carries its file.

    :raises TransientError: the ``last_error``, if a later try may help.
    :raises BulkFailed: some rows were not replaced.
    """
    bad = [row for row in rows if not row.succeeded]
    if last_error and not any(row.status == "new_document" for row in bad):
        raise last_error
    if bad:
        raise BulkFailed(describe(rows, stop, report))


def describe(rows: Sequence[Row], stop: Stop | None = None, report: str | None = None) -> str:
    """Return what has become of the rows, in lines.

    They say how many rows have each outcome, what went wrong, what a dry run foresees, and where
    the rest is.

    :param stop: why nothing more was sent.
    :param report: the report's place.
    """
    counts = Counter(row.status for row in rows)
    outcomes = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES if counts[outcome])
    noun = "replacement" if len(rows) == 1 else "replacements"
    failures, foreseen = list_failures(rows), _list_foreseen(rows)
    lines = [
        f"Of {len(rows)} {noun}: {outcomes or 'none'}.",
        f"Nothing more was sent, because {stop.message}." if stop else "",
        failures,
        foreseen,
        f"The report of every document: {report}" if report else "",
        "Set report_to for a report of every document."
        if (failures or foreseen) and not report
        else "",
    ]
    return "\n".join(filter(None, lines))


def list_failures(rows: Iterable[Row]) -> str:
    """Return the first rows that went wrong, a line each; empty if none did."""
    bad = [row for row in rows if not row.succeeded and row.status not in {"planned", "sent"}]
    # Rows that nothing was tried with have one reason for all, which is in the stop.
    telling = [row for row in bad if row.status != "not_sent"] or bad
    return summarize((f"{row.where}, document {row.doc_id}: {row.error}" for row in telling), "\n")


def _list_foreseen(rows: Iterable[Row]) -> str:
    """Return what the first new documents would get, a line each; empty if nothing is foreseen."""
    foreseen = (row for row in rows if row.foreseen)
    return summarize(
        (f"{row.where}, document {row.doc_id}: {row.foreseen}" for row in foreseen), "\n"
    )


def write_report(path: Any, rows: Iterable[Row]) -> None:
    """Write one JSON object a line and row, in the order of the manifest.

    ``doc_id``, ``file`` and ``filename`` as in a manifest, so that a report can be read as one;
    ``where``, ``outcome``, ``md5_before``, ``md5`` (of the file), ``md5_after``, ``backup``,
    ``bytes``, ``ticket``, ``new_doc_id``, ``new_url``, ``proof``, ``transferred``,
    ``not_transferred``, ``foreseen``, ``error``; null where there is none.

    :param path: ``pathlib.Path`` or ``ObjectStoragePath``; behind a link, the file that it leads to
        is replaced.
    :raises ReportNotWritten: it cannot be written there.
    :raises ReportNotYetWritten: its storage fails; a later try may succeed.
    """
    try:
        make_folder(path.parent)
        with atomic_write(path) as stream:
            for row in rows:
                stream.write(_to_line(row).encode() + b"\n")
    except Exception as error:  # noqa: BLE001 - storages raise what they like, and what they say may hold secrets
        fault = file_error(path, error, "written")
        kind = ReportNotWritten if fault.permanent else ReportNotYetWritten
        raise kind(f"The report {fault}") from None


def _to_line(row: Row) -> str:
    """Return a row as JSON in which what does not print is escaped.

    So names stay whole, and a terminal gets no control characters.
    """
    columns = {
        "doc_id": row.doc_id,
        "file": _from_anywhere(row.file),
        "filename": row.filename,
        "where": row.where,
        "outcome": row.status,
        "md5_before": row.md5_before,
        "md5": row.md5,
        "md5_after": row.md5_after,
        "backup": row.backup and _from_anywhere(row.backup),
        "bytes": row.bytes,
        "ticket": row.ticket,
        "new_doc_id": row.new_doc_id,
        "new_url": row.new_url,
        "proof": row.proof,
        "transferred": list(row.transferred) or None,
        "not_transferred": dict(row.not_transferred) or None,
        "foreseen": row.foreseen or None,
        "error": row.error or None,
    }
    text = json.dumps(columns, ensure_ascii=False)
    return _UNPRINTABLE.sub(
        lambda odd: odd[0] if odd[0].isprintable() else json.dumps(odd[0])[1:-1], text
    )


def _from_anywhere(file: str) -> str:
    """Return a path or URI that names the same file in a manifest elsewhere.

    The relative files of a manifest are relative to its folder.
    """
    relative = "://" not in file and not file.startswith(("/", "~", "file:"))
    return str(Path(file).absolute()) if relative else without_query(file)
