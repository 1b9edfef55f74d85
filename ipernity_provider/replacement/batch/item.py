"""One line of a manifest and what has become of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from ipernity_provider.api.errors import PermanentError
from ipernity_provider.api.models import MediaClass
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.order import NewDocument, Result, Uncertain
from ipernity_provider.replacement.source import Source

Fate = Literal[
    "planned", "replaced", "unchanged", "new_document", "refused", "failed", "uncertain", "not_sent"
]
"""``planned``: to be sent, or under way. ``refused``: the plan found that it cannot be replaced. ``not_sent``: the batch
ended before its turn."""

#: The ``number`` of an item that is no longer in the manifest: sent for an earlier one, and still to be proven.
UNLISTED = -1
#: The same for one that is only kept in mind: what became of its upload is known to nobody, or was told.
ASIDE = -2

#: What a report says of an item: its fate, or that it was sent and nobody has looked yet what came of it.
OUTCOMES = (
    "replaced",
    "unchanged",
    "new_document",
    "refused",
    "failed",
    "uncertain",
    "sent",
    "not_sent",
    "planned",
)


@dataclass(frozen=True)
class Item:
    """One replacement of a batch.

    :param number: its place in the manifest.
    :param where: the same for a person.
    :param run: the run that it was last looked at in; retries of a run share it.
    :param fingerprint: what tells cheaply whether the file is still the one that ``md5`` was read from.
    :param md5: of the file, lower-case hex; empty before it was read.
    :param claim: the MD5 that its storage claims.
    :param bytes: its size.
    :param media: its class.
    :param md5_before: of the document before anything was sent; None where the service does not say.
    :param md5_after: of the document once the replacement was proven.
    :param backup: where the previous original was stored.
    :param entry: the upload under way, or the last one.
    :param superseded: that upload is not gone on with, because a later run is forced; it is let end and no more.
    :param renamed: the manifest names another file since; whether it is the same is known by its bytes alone.
    :param error: why the fate is none that one would wish for, one sentence or more.
    """

    doc_id: str
    file: str
    filename: str | None
    number: int
    where: str
    fate: Fate = "planned"
    run: str = ""
    fingerprint: str = ""
    md5: str = ""
    claim: str | None = None
    bytes: int = 0
    media: MediaClass | None = None
    md5_before: str | None = None
    md5_after: str | None = None
    ticket: str | None = None
    new_doc_id: str | None = None
    verified_by: str | None = None
    backup: str | None = None
    error: str = ""
    entry: Entry | None = None
    superseded: bool = False
    renamed: bool = False

    @property
    def under_way(self) -> bool:
        """Sent, and not yet proven."""
        return self.fate == "planned" and self.begun and bool(self.entry and self.entry.answered)

    @property
    def attached(self) -> Entry | None:
        """The upload of the file as it is now, as far as that was looked at; there may be one of another file."""
        entry = self.entry
        if entry is None or self.superseded:
            return None
        same = entry.md5 == self.md5 if self.md5 else not self.renamed
        return entry if same else None

    @property
    def detached(self) -> Entry | None:
        """An upload that is not gone on with, of which nobody has seen the end."""
        entry = self.entry
        return entry if entry and not entry.proven and not self.attached else None

    @property
    def begun(self) -> bool:
        """An upload of this very file was begun, and nobody has seen its end."""
        return self.attached is not None and not self.attached.proven

    @property
    def doubt(self) -> str:
        """What nobody knows of its uploads, one sentence; empty where nothing is in doubt."""
        if entry := self.detached:
            ticket = f", ticket {entry.ticket}," if entry.ticket else ""
            return f"An earlier upload for it{ticket} was begun, and nobody has seen its end; a later try looks for it."
        if self.begun and not self.under_way:
            return "Its upload was begun, and nobody can tell whether it arrived: a later try asks, or look at the document."
        return ""

    @property
    def volume(self) -> int:
        """What its upload takes of the month's volume, in bytes; nothing where it may have taken it already."""
        return 0 if self.begun else self.bytes

    @property
    def well(self) -> bool:
        """Nothing remains to be done, and nothing is wrong."""
        kept = self.fate == "new_document" and not self.error
        return kept or self.fate in {"replaced", "unchanged"}

    @property
    def outcome(self) -> str:
        return "sent" if self.under_way else self.fate

    def of_file(self, source: Source, fingerprint: str) -> Self:
        """With what was found of its file."""
        return replace(
            self,
            fingerprint=fingerprint,
            md5=source.md5,
            claim=source.claim,
            bytes=source.size,
            media=source.media,
        )

    def ended(self, result: Result) -> Self:
        """Its upload, or the plan, has led to this."""
        proven = self.entry.proven if self.entry else None
        outcome = result.outcome
        return replace(
            self,
            fate="replaced" if outcome == "sent" else outcome,
            md5=result.md5,
            bytes=result.bytes,
            md5_after=result.md5 if result.outcome == "unchanged" else proven.md5 if proven else None,
            ticket=result.ticket,
            new_doc_id=result.new_doc_id,
            verified_by=result.verified_by,
            backup=result.backup or self.backup,
            error="",
        )

    def ended_badly(self, fate: Fate, error: str) -> Self:
        ticket = self.entry.ticket if self.entry else self.ticket
        return replace(self, fate=fate, ticket=ticket, error=error)

    def ended_by(self, error: PermanentError, otherwise: Fate) -> Self:
        """:param otherwise: the fate where the error tells no more."""
        if isinstance(error, NewDocument):
            return self.ended_badly("new_document", str(error))
        if isinstance(error, Uncertain):
            return self.ended_badly("uncertain", str(error))
        return self.unsent(str(error), otherwise)

    def unsent(self, error: str, fate: Fate = "not_sent") -> Self:
        """Nothing more is sent of it; what was begun before stays in doubt."""
        if self.doubt:
            return self.ended_badly("uncertain", f"{error.removesuffix(' Nothing was sent.')} {self.doubt}")
        return self.ended_badly(fate, error)

    def left_over(self, reason: str) -> Self:
        """Its batch ends before its turn, or in the middle of it."""
        return self if self.under_way else self.unsent(f"Not sent: {reason}.")

    def doubted(self, other: Self) -> Self:
        """What was taken for its new document came of another item's upload, or nobody can tell of which."""
        unclear = self.entry and replace(self.entry, result_id=None, proven=None, verified_by=None)
        item = replace(self, entry=unclear, new_doc_id=None, md5_after=None, verified_by=None)
        return item.ended_badly(
            "uncertain",
            f"Nobody can tell whether its upload arrived: document {self.new_doc_id} has its bytes, but so has the file of "
            f"{other.where}, document {other.doc_id}. Look at your newest uploads.",
        )

    def to_json(self) -> dict[str, Any]:
        """Without what is empty: thousands of these are kept."""
        stored = {name: value for name, value in asdict(self).items() if value not in (None, "", 0)}
        return stored | ({"entry": self.entry.to_json()} if self.entry else {})

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """What another version of this package has stored beyond what is known here is left out."""
        known = {name: value for name, value in stored.items() if name in cls.__dataclass_fields__}
        entry = stored.get("entry")
        return cls(
            **{"filename": None, "number": 0, **known, "entry": Entry.from_json(entry) if entry else None}
        )
