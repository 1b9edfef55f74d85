"""What a task has changed: for asset events and lineage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ipernity_provider.bulk.rows import Row
from ipernity_provider.files.paths import local_path
from ipernity_provider.replacement.record import UploadRecord
from ipernity_provider.replacement.request import ProofLevel, Result

#: Outcomes after which the document that was asked for, or its successor, carries other bytes.
CHANGED = frozenset({"replaced", "transferred"})
_NAMED_TOGETHER = 100


@dataclass(frozen=True, kw_only=True)
class Change:
    """One changed document: the ``extra`` of its asset event.

    :param url: the document's page.
    :param new_doc_id: its successor, where the outcome is ``transferred``.
    :param md5_before: of the document before; None where the service does not show it.
    :param md5_after: of the document now; None where the service does not show it.
    :param bytes: size of the file that was sent.
    :param file: its URI.
    """

    doc_id: str
    url: str | None
    outcome: str
    new_doc_id: str | None
    md5_before: str | None
    md5_after: str | None
    bytes: int | None
    proof: ProofLevel | None
    ticket: str | None
    file: str

    @classmethod
    def of_result(cls, result: Result, record: UploadRecord | None, file: Any) -> Self:
        """Return what a single replacement has changed.

        :param record: of its upload, once it is proven.
        """
        proven = record.proven if record else None
        return cls(
            doc_id=result.doc_id,
            url=result.url,
            outcome=result.outcome,
            new_doc_id=result.new_doc_id,
            md5_before=record.before.md5 if record else None,
            md5_after=(proven.md5 or (result.md5 if proven.listed else None)) if proven else None,
            bytes=result.bytes,
            proof=result.proof,
            ticket=result.ticket,
            file=file_uri(file),
        )

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """Return what a row of a manifest has changed."""
        return cls(
            doc_id=row.doc_id,
            url=row.record.url if row.record else None,
            outcome=row.status,
            new_doc_id=row.new_doc_id,
            md5_before=row.md5_before,
            md5_after=row.md5_after,
            bytes=row.bytes,
            proof=row.proof,
            ticket=row.ticket,
            file=file_uri(row.sent_file or row.file),
        )


def summarize_changes(changes: Iterable[Change], report: str | None) -> dict[str, Any]:
    """Return the extra of an asset that stands for many documents."""
    doc_ids = [change.doc_id for change in changes]
    return {"changed": len(doc_ids), "doc_ids": doc_ids[:_NAMED_TOGETHER], "report": report}


def file_uri(file: Any) -> str:
    """Return the URI of a file, without the connection that it is opened with."""
    text = str(file).strip()
    try:
        local = file if isinstance(file, Path) else local_path(text)
    except (ValueError, RuntimeError):
        local = None
    if local is not None:
        return local.expanduser().absolute().as_uri()
    # A query may be a signature.
    scheme, _, rest = text.partition("?")[0].partition("://")
    place, slash, key = rest.partition("/")
    return f"{scheme.lower()}://{place.rpartition('@')[2]}{slash}{key}"
