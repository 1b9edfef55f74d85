"""The journals of replacements in Airflow's task state store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ipernity_provider.replacement.batch import BatchJournal, Item, JournalLost, MemoryBatchJournal
from ipernity_provider.replacement.journal import Entry, Journal, MemoryJournal

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_KEY = "ipernity_replacement"
_BATCH_KEY = "ipernity_batch"
# Some ten kilobytes a page: an item changes its state about four times, and each time its page is written.
_ITEMS_PER_PAGE = 32


def journal_of(context: Context) -> Journal:
    """The task's journal: it survives retries, killed workers, and clearing the task.

    Before Airflow 3.3 there is none; the questions to the service still guard a retry.
    """
    store = _store_of(context)
    return MemoryJournal() if store is None else TaskStateJournal(store)


def batch_journal_of(context: Context) -> BatchJournal:
    """The same for a batch."""
    store = _store_of(context)
    return MemoryBatchJournal() if store is None else TaskStateBatchJournal(store)


def _store_of(context: Context) -> Any:
    store = cast("dict[str, Any]", context).get("task_state_store")
    if store is None:
        log.info(
            "This Airflow has no task state store (3.3 has): a retry can only ask the service what has arrived."
        )
    return store


class TaskStateJournal:
    """Keeps the entry under one key, for as long as the task instance exists."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def read(self) -> Entry | None:
        stored = self._store.get(_KEY)
        return Entry.from_json(stored) if stored else None

    def write(self, entry: Entry) -> None:
        _keep(self._store, _KEY, entry.to_json())

    def forget(self) -> None:
        self._store.delete(_KEY)


class TaskStateBatchJournal:
    """Keeps the items of a batch in pages: one value for all would be written anew, whole, at each change of one.

    One key says how many pages there are and in which of two books. A new batch is written into the other book, and that
    key last: a process that dies over it leaves the old batch as it was.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._book = 0
        self._pages: list[dict[str, Any]] = []
        self._page_of: dict[str, int] = {}

    def load(self) -> dict[str, Item]:
        contents = self._store.get(_BATCH_KEY) or {"book": 0, "pages": 0, "items": 0}
        self._book = contents["book"]
        self._open([self._store.get(self._key(page)) or {} for page in range(contents["pages"])])
        if len(self._page_of) != contents["items"]:
            raise JournalLost(
                f"Of the {contents['items']} items of this batch that were written down, {len(self._page_of)} are left; "
                "somebody has deleted task state. Look at the report, then start a new run."
            )
        return {doc_id: Item.from_json(item) for page in self._pages for doc_id, item in page.items()}

    def begin(self, items: Sequence[Item]) -> None:
        if [item.doc_id for item in items] == list(self._page_of):
            self.save(*items)
            return
        old = [self._key(page) for page in range(len(self._pages))]
        self._book = 1 - self._book
        stored = {item.doc_id: item.to_json() for item in items}
        ids = list(stored)
        starts = range(0, len(ids), _ITEMS_PER_PAGE)
        self._open([{doc_id: stored[doc_id] for doc_id in ids[n : n + _ITEMS_PER_PAGE]} for n in starts])
        for page, content in enumerate(self._pages):
            _keep(self._store, self._key(page), content)
        contents = {"book": self._book, "pages": len(self._pages), "items": len(ids)}
        _keep(self._store, _BATCH_KEY, contents)
        for key in old:
            self._store.delete(key)

    def save(self, *items: Item) -> None:
        with self._lock:
            changed = set()
            for item in items:
                page, stored = self._page_of[item.doc_id], item.to_json()
                if self._pages[page][item.doc_id] != stored:
                    self._pages[page][item.doc_id] = stored
                    changed.add(page)
            for page in sorted(changed):
                _keep(self._store, self._key(page), self._pages[page])

    def _open(self, pages: list[dict[str, Any]]) -> None:
        self._pages = pages
        self._page_of = {doc_id: number for number, page in enumerate(pages) for doc_id in page}

    def _key(self, page: int) -> str:
        return f"{_BATCH_KEY}_{self._book}_{page}"


def _keep(store: Any, key: str, value: Any) -> None:
    from airflow.sdk.execution_time.context import NEVER_EXPIRE

    store.set(key, value, retention=NEVER_EXPIRE)
