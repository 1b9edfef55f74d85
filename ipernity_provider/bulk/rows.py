"""The rows of a manifest, what has become of each, and what a later try still knows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from ipernity_provider.api.errors import IpernityError
from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.replacement.decisions import is_same_file
from ipernity_provider.replacement.errors import NewDocument, Uncertain
from ipernity_provider.replacement.record import UploadRecord
from ipernity_provider.replacement.request import ProofLevel, Result

Status = Literal[
    "replaced",
    "unchanged",
    "new_document",
    "transferred",
    "refused",
    "failed",
    "uncertain",
    "sent",
    "not_sent",
    "planned",
]
"""What has become of a row.

``transferred``: a new document has taken the place of the row's.
``planned``: to be sent. ``sent``: accepted by the service, not proven yet. ``refused``: found
before sending that it cannot be replaced. ``uncertain``: an upload was started and it is not known
whether it arrived. ``not_sent``: the run ended before its turn, or it could not be sent for now.
"""

Place = Literal["listed", "removed", "set_aside"]
"""Whether the manifest still names the row.

``removed``: it does not, but the file was sent for an earlier manifest and is still to be proven.
``set_aside``: the same, but nothing is to be done unless the manifest names its document again;
such rows are not in the report.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One document of a manifest.

    :param where: the place in the manifest, for a person.
    :param intent: the intent of the try that has looked at it last.
    :param source: what is known of the file, without where its bytes come from; None before it was
        inspected.
    :param md5: of the file, lower-case hex; of the one that was sent, if any was.
    :param bytes: its size.
    :param md5_before: of the document before anything was sent; None where the service does not
        show it.
    :param md5_after: of the document once the replacement was proven.
    :param backup: where the previous original was stored.
    :param new_url: the page of the new document, after a transfer.
    :param transferred: what it got of the old one.
    :param not_transferred: what it did not get, each with the reason.
    :param foreseen: in a dry run, what a new document would get, in sentences.
    :param error: why it is neither replaced nor unchanged.
    :param record: of the last upload to the document.
    :param sent_file: the manifest's ``file`` at that upload.
    """

    doc_id: str
    file: str
    filename: str | None = None
    where: str
    place: Place = "listed"
    status: Status = "planned"
    intent: str = ""
    source: SourceFile | None = None
    md5: str | None = None
    bytes: int | None = None
    md5_before: str | None = None
    md5_after: str | None = None
    ticket: str | None = None
    new_doc_id: str | None = None
    proof: ProofLevel | None = None
    new_url: str | None = None
    transferred: Sequence[str] = ()
    not_transferred: Mapping[str, str] = field(default_factory=dict)
    foreseen: str = ""
    backup: str | None = None
    error: str = ""
    record: UploadRecord | None = None
    sent_file: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether nothing is left to do, and nothing is wrong.

        A new document that may be kept is not wrong.
        """
        return self.status in {"replaced", "unchanged", "transferred"} or (
            self.status == "new_document" and not self.error
        )

    @property
    def may_have_arrived(self) -> bool:
        """Whether an upload to the document was complete and is not settled."""
        record = self.record
        return bool(record and not record.settled and (record.answered or record.complete))

    @property
    def volume(self) -> int:
        """What sending it takes of the month's volume, in bytes.

        Zero where the upload may have been counted already.
        """
        if self.source is None:
            return 0
        counted = self.may_have_arrived and self.record and is_same_file(self.record, self.source)
        return 0 if counted else self.source.size

    def with_source(self, file: SourceFile) -> Self:
        """Return the row with what was found of its file."""
        md5 = file.md5 or file.reported_md5
        return replace(self, source=replace(file, source=None), md5=md5, bytes=file.size)

    def with_record(self, record: UploadRecord) -> Self:
        """Return the row with the state of its upload."""
        return replace(
            self,
            status="sent" if record.answered and not record.settled else "planned",
            md5=record.md5 or self.md5,
            bytes=record.bytes,
            md5_before=record.before.md5,
            ticket=record.ticket,
            backup=record.backup,
            record=record,
            sent_file=self.file,
        )

    def with_result(self, result: Result) -> Self:
        """Return the row with what its replacement has led to."""
        proven = self.record.proven if self.record else None
        after = (proven.md5 or (result.md5 if proven.listed else None)) if proven else None
        return replace(
            self,
            status=result.outcome,
            md5=result.md5 or self.md5,
            bytes=result.bytes,
            md5_after=result.md5 if result.outcome == "unchanged" else after,
            ticket=result.ticket,
            new_doc_id=result.new_doc_id,
            proof=result.proof,
            new_url=result.new_url,
            transferred=tuple(result.transferred),
            not_transferred=dict(result.not_transferred),
            error="",
        )

    def with_error(
        self, error: IpernityError, status: Literal["refused", "failed", "not_sent"]
    ) -> Self:
        """Return the row with the error that ended it.

        :param status: what it is, unless the error says more.
        """
        if isinstance(error, NewDocument):
            return replace(
                self, status="new_document", new_doc_id=error.new_doc_id, error=str(error)
            )
        if isinstance(error, Uncertain):
            return replace(self, status="uncertain", error=str(error))
        if status == "failed":
            return replace(self, status="failed", error=str(error))
        return self.without_upload(str(error), status)

    def without_upload(
        self, reason: str, status: Literal["refused", "not_sent"] = "not_sent"
    ) -> Self:
        """Return the row as one of which nothing more is sent.

        What was sent before stays uncertain.
        """
        if not self.may_have_arrived or self.record is None:
            return replace(self, status=status, error=reason)
        ticket = f" (ticket {self.record.ticket})" if self.record.ticket else ""
        reason = reason.removesuffix(" Nothing was sent.")
        return replace(
            self,
            status="uncertain",
            ticket=self.record.ticket,
            error=(
                f"{reason} An earlier upload{ticket} may have arrived: a later try checks, or look"
                " at the document."
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-simple values without what is empty: thousands of rows are stored."""
        stored = {
            name: value
            for name, value in asdict(self).items()
            if name != "foreseen" and value not in (None, "", (), {})  # a dry run has no next try
        }
        if self.source:
            del stored["source"]["source"]
        if self.record:
            stored["record"] = self.record.to_json()
        if self.transferred:
            stored["transferred"] = list(self.transferred)
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read a stored row; members that are not known to this version are left out."""
        if "entry" in stored or "fate" in stored:
            stored = _of_first_edition(stored)
        values = {name: value for name, value in stored.items() if name in cls.__dataclass_fields__}
        if source := stored.get("source"):
            known = {
                name: source[name] for name in SourceFile.__dataclass_fields__ if name in source
            }
            values["source"] = SourceFile(**{**known, "source": None})
        if record := stored.get("record"):
            values["record"] = UploadRecord.from_json(record)
        values["transferred"] = tuple(stored.get("transferred", ()))
        return cls(**values)


def _of_first_edition(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Translate what the first edition of this package stored.

    Only its uploads count; the rest is inspected again.
    """
    entry = stored.get("entry") or {}
    sent = stored.get("fate", "planned") == "planned" and (
        entry.get("ticket") or entry.get("result_id")
    )
    return {
        **{name: stored[name] for name in ("doc_id", "file", "where")},
        "filename": stored.get("filename"),
        "status": "sent" if sent else "planned",
        "record": entry or None,
        "sent_file": "" if stored.get("renamed") else stored["file"],
    }


def match_rows(known: Mapping[str, Row], lines: Iterable[ManifestLine], intent: str) -> list[Row]:
    """Return the rows of a manifest with what earlier tries know of them.

    The rows that have left the manifest come last.

    Only what no decision about a single replacement covers is carried over as settled: a file that
    is there already, or that the service would not take, is not asked about by each retry.
    """
    left = dict(known)
    rows = [_match(left.pop(line.doc_id, None), line, intent) for line in lines]
    for row in left.values():
        if row.may_have_arrived:
            place: Place = "removed" if row.status == "sent" else "set_aside"
            where = row.where if row.place != "listed" else f"{row.where} of an earlier manifest"
            rows.append(replace(row, place=place, where=where))
    return rows


def _match(known: Row | None, line: ManifestLine, intent: str) -> Row:
    row = Row(
        doc_id=line.doc_id, file=line.file, filename=line.filename, where=line.where, intent=intent
    )
    if known is None:
        return row
    same_file = (known.file, known.filename) == (line.file, line.filename)
    settled = known.status == "unchanged" or (known.status == "failed" and known.record is None)
    if settled and same_file and known.intent == intent:
        return replace(known, where=line.where, place="listed")
    row = replace(row, record=known.record, sent_file=known.sent_file)
    if known.record:  # what the document was before that upload, and where that is stored
        row = replace(row, md5_before=known.record.before.md5, backup=known.record.backup)
    return replace(row, source=known.source, md5=known.md5, bytes=known.bytes) if same_file else row


def file_as_sent(row: Row) -> SourceFile | None:
    """Return the file as it was when it was sent, for a row whose file cannot be read now.

    What was sent can be proven without its file. None where nothing was sent, or another file than
    the row names.
    """
    record = row.record
    if record is None or row.sent_file != row.file:
        return None
    return SourceFile(None, record.filename, record.bytes, record.md5, marker=record.marker)
