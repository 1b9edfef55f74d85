"""One line of a manifest and what has become of it; the journal that keeps all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol, Self

from ipernity_provider.api.errors import PermanentError
from ipernity_provider.api.models import MediaClass
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.order import NewDocument, Result, Uncertain
from ipernity_provider.replacement.send import GivenUp
from ipernity_provider.replacement.source import Source

Fate = Literal[
    "planned", "replaced", "unchanged", "new_document", "refused", "failed", "uncertain", "not_sent"
]
"""``planned``: to be sent, or under way. ``refused``: the plan found that it cannot be replaced. ``not_sent``: the batch
ended before its turn."""

#: The ``number`` of an item that is no longer in the manifest: sent for an earlier one, and still to be proven.
UNLISTED = -1

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
    :param entry: the upload under way, or the last one.
    :param superseded: that upload is not gone on with, because a later run is forced; it is let end and no more.
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
    error: str = ""
    entry: Entry | None = None
    superseded: bool = False

    @property
    def under_way(self) -> bool:
        """Sent, and not yet proven."""
        return self.fate == "planned" and self.begun and bool(self.entry and self.entry.answered)

    @property
    def aside(self) -> bool:
        """No longer in the manifest, and nobody knows whether its upload arrived: only kept in mind."""
        return self.number == UNLISTED and bool(self.entry and not self.entry.answered)

    @property
    def attached(self) -> Entry | None:
        """The upload of the file as it is now, as far as that was looked at; there may be one of another file."""
        entry = self.entry
        return entry if entry and self.md5 in {"", entry.md5} and not self.superseded else None

    @property
    def begun(self) -> bool:
        """An upload of this very file was begun, and nobody has seen its end."""
        return self.attached is not None and not self.attached.proven

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
            error="",
        )

    def ended_badly(self, fate: Fate, error: str) -> Self:
        ticket = self.entry.ticket if self.entry else self.ticket
        return replace(self, fate=fate, ticket=ticket, error=error)

    def ended_by(self, error: PermanentError, otherwise: Fate) -> Self:
        """:param otherwise: the fate where the error tells no more."""
        fate: Fate = otherwise
        if isinstance(error, NewDocument):
            fate = "new_document"
        elif isinstance(error, Uncertain):
            fate = "uncertain"
        return self.ended_badly(fate, str(error))

    def left_over(self, reason: str) -> Self:
        """Its batch ends before its turn, or in the middle of it."""
        if self.under_way:
            return self
        if self.begun:
            return self.ended_badly("uncertain", "Its upload was begun; a later try asks whether it arrived.")
        return self.ended_badly("not_sent", f"Not sent: {reason}.")

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


class BatchJournal(Protocol):
    """Keeps what is known of each item safe from crashes; may be used by several threads."""

    def load(self) -> dict[str, Item]:
        """The items by their documents, in their order.

        :raises JournalLost: less is there than was stored.
        """

    def begin(self, items: Sequence[Item]) -> None:
        """Keep these and no others."""

    def save(self, *items: Item) -> None:
        """Take in what has changed of some."""


class JournalLost(PermanentError):
    """What is known of a batch was deleted in part or in whole."""


class MemoryBatchJournal:
    """Lasts as long as the process."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}

    def load(self) -> dict[str, Item]:
        return dict(self._items)

    def begin(self, items: Sequence[Item]) -> None:
        self._items = {item.doc_id: item for item in items}

    def save(self, *items: Item) -> None:
        self._items |= {item.doc_id: item for item in items}


class Items:
    """All items of a batch as they are now, and in the journal.

    Threads change different items, and each item is changed by one thread at a time.
    """

    def __init__(self, journal: BatchJournal, items: Iterable[Item]) -> None:
        self._journal = journal
        self._items = {item.doc_id: item for item in items}

    def __getitem__(self, doc_id: str) -> Item:
        return self._items[doc_id]

    def all(self) -> list[Item]:
        return list(self._items.values())

    def note(self, *items: Item) -> None:
        self._items |= {item.doc_id: item for item in items}

    def save(self, *items: Item) -> None:
        self._journal.save(*items)
        self.note(*items)


class ItemJournal:
    """The journal of one item's replacement.

    :param given_up: once it is set, nothing is asked for any more, and no upload begins.
    """

    def __init__(self, items: Items, doc_id: str, given_up: threading.Event) -> None:
        self._items = items
        self._doc_id = doc_id
        self._given_up = given_up

    def read(self) -> Entry | None:
        self._go_on()
        return self._items[self._doc_id].entry

    def write(self, entry: Entry) -> None:
        if not entry.answered:
            self._go_on()
        now = self._items[self._doc_id]
        # What is sent can be another file than was planned, or have another checksum than its storage claimed.
        item = replace(
            now, entry=entry, md5=entry.md5, claim=entry.claim, bytes=entry.bytes, superseded=False
        )
        # A proof is stored with the fate that follows from it; until then another try would find it again.
        if entry.proven:
            self._items.note(item)
        else:
            self._items.save(item)

    def forget(self) -> None:
        item = self._items[self._doc_id]
        self._items.save(replace(item, entry=None, ticket=item.entry.ticket if item.entry else None))

    def _go_on(self) -> None:
        if self._given_up.is_set():
            raise GivenUp("The task was ended; nothing more was sent.")
