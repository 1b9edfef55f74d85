"""report: what became of each item, and of all together."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ipernity_provider.api.errors import PermanentError, TransientError
from ipernity_provider.api.storage import fault_of, shown, without_query
from ipernity_provider.replacement.batch.item import OUTCOMES, Item
from ipernity_provider.replacement.storing import make_folder, written_whole
from ipernity_provider.replacement.tickets import listed

_ODD = re.compile(r"[^ -~]")


class ReportNotWritten(PermanentError):
    """The report's place cannot be written to; what was replaced is replaced all the same."""


class ReportNotYetWritten(TransientError):
    """The same, and a later try may get through."""


class BatchFailed(PermanentError):
    """Some of a batch could not be replaced."""


def summary_of(items: Sequence[Item], report: str | None) -> dict[str, Any]:
    """How many items met each fate, and the bytes of those that were sent; JSON-simple."""
    counts = Counter(item.outcome for item in items)
    sent = sum(item.bytes for item in items if item.ticket and item.fate in {"replaced", "new_document"})
    return {
        "total": len(items),
        **{outcome: counts[outcome] for outcome in OUTCOMES},
        "bytes_sent": sent,
        "report": report,
    }


def require_well(items: Sequence[Item], stopped: str, report: str | None) -> None:
    """:raises BatchFailed: some items met no good fate."""
    if not all(item.well for item in items):
        again = "Clear the task, or start a new run: what is done already is not sent again."
        raise BatchFailed(f"{in_short(items, stopped, report)}\n{again}")


def in_short(items: Sequence[Item], stopped: str = "", report: str | None = None) -> str:
    """Return what became of a batch, in lines: how many met which outcome, what went wrong, and where all is said.

    :param stopped: why nothing more was sent.
    :param report: the report's place.
    """
    counts = Counter(item.outcome for item in items)
    outcomes = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
    noun = "replacement" if len(items) == 1 else "replacements"
    lines = [f"Of {len(items)} {noun}: {outcomes or 'none'}."]
    if stopped:
        lines.append(f"Nothing more was sent, because {stopped}.")
    if bad := [item for item in items if not item.well and item.outcome not in {"planned", "sent"}]:
        # What was never begun has one reason for all, which is said above.
        named_ones = [item for item in bad if item.fate != "not_sent"] or bad
        lines.append(listed(f"{item.where}, document {item.doc_id}: {item.error}" for item in named_ones))
    if report:
        lines.append(f"The report of every document: {report}")
    elif bad:
        lines.append("Set report_to for a report of every document.")
    return "\n".join(lines)


def write_report(path: Any, items: Iterable[Item]) -> None:
    """Write one JSON object a line and item, in the order of the manifest.

    ``doc_id``, ``file`` and ``filename`` as in a manifest, so that one can be made of the rows; ``where``, ``outcome``,
    ``md5_before``, ``md5`` (of the file), ``md5_after``, ``backup``, ``bytes``, ``ticket``, ``new_doc_id``,
    ``verified_by``, ``error``; null where there is none.

    :param path: ``pathlib.Path`` or ``ObjectStoragePath``; behind a link, the file that it leads to is replaced.
    :raises ReportNotWritten: and :raises ReportNotYetWritten: by what stands in the way.
    """
    try:
        make_folder(path.parent)
        with written_whole(path) as stream:
            for item in items:
                stream.write(_line(_row(item)).encode() + b"\n")
    except Exception as error:  # noqa: BLE001 - storages raise what they like, and what they say may hold secrets
        fault = fault_of(error, "written")
        kind = ReportNotWritten if fault.permanent else ReportNotYetWritten
        raise kind(f"The report {shown(path)} {fault.words}.") from None


def _line(row: dict[str, Any]) -> str:
    """Return JSON in which all that does not print is escaped, so that names stay whole and terminals calm."""
    text = json.dumps(row, ensure_ascii=False)
    return _ODD.sub(lambda odd: odd[0] if odd[0].isprintable() else json.dumps(odd[0])[1:-1], text)


def _from_anywhere(file: str) -> str:
    """Return a path or URI that names the same file in a manifest, whose relative files lie beside it."""
    relative = "://" not in file and not file.startswith(("/", "~", "file:"))
    return str(Path(file).absolute()) if relative else without_query(file)


def _row(item: Item) -> dict[str, Any]:
    return {
        "doc_id": item.doc_id,
        "file": _from_anywhere(item.file),
        "filename": item.filename,
        "where": item.where,
        "outcome": item.outcome,
        "md5_before": item.md5_before,
        "md5": item.md5 or None,
        "md5_after": item.md5_after,
        "backup": item.backup and _from_anywhere(item.backup),
        "bytes": item.bytes or None,
        "ticket": item.entry.ticket if item.under_way and item.entry else item.ticket,
        "new_doc_id": item.new_doc_id,
        "verified_by": item.verified_by,
        "error": item.error or None,
    }
