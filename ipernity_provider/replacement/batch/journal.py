"""The journal of a batch: all items, those of one task, and one of them as its replacement sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from ipernity_provider.api.errors import PermanentError
from ipernity_provider.replacement.batch.item import Item
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.send import GivenUp


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
        self._items: dict[str, Item] = {}
        self._with_new_document: dict[str, set[str]] = {}
        self.note(*items)

    def __getitem__(self, doc_id: str) -> Item:
        return self._items[doc_id]

    def all(self) -> list[Item]:
        return list(self._items.values())

    def with_new_document(self, md5: str) -> list[Item]:
        """Those with these bytes that have led to a new document."""
        items = [self._items[doc_id] for doc_id in list(self._with_new_document.get(md5, ()))]
        return [item for item in items if item.new_doc_id]

    def note(self, *items: Item) -> None:
        self._items |= {item.doc_id: item for item in items}
        for item in items:
            if item.new_doc_id:
                self._with_new_document.setdefault(item.md5, set()).add(item.doc_id)

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
        entry = self._items[self._doc_id].entry
        if entry is None or entry.answered:
            return entry
        # What a ticket has led to is no sign that an upload without an answer has arrived.
        others = [
            item.new_doc_id
            for item in self._items.with_new_document(entry.md5)
            if item.ticket and item.new_doc_id and item.doc_id != self._doc_id
        ]
        return replace(entry, twins=(*entry.twins, *others)) if others else entry

    def write(self, entry: Entry) -> None:
        if not entry.answered:
            self._go_on()
        now = self._items[self._doc_id]
        # What is sent can be another file than was planned, or have another checksum than its storage claimed.
        item = replace(
            now,
            entry=entry,
            md5=entry.md5,
            claim=entry.claim,
            bytes=entry.bytes,
            backup=entry.backup or now.backup,
            superseded=False,
            renamed=False,
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
