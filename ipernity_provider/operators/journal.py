"""The journals of replacements in Airflow's task state store."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, cast

from ipernity_provider.replacement.batch import BatchJournal, Item, MemoryBatchJournal
from ipernity_provider.replacement.journal import Entry, Journal, MemoryJournal

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_KEY = "ipernity_replacement"
_BATCH_KEY = "ipernity_batch"
# A few kilobytes a page: an item changes its state about four times, and each time its page is written.
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
    """Keeps the items of a batch in pages: one value for all would be written anew, whole, at each change of one."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._pages: list[dict[str, Any]] = []

    def load(self) -> dict[str, Item]:
        pages = self._store.get(_BATCH_KEY) or 0
        self._pages = [self._store.get(f"{_BATCH_KEY}_{page}") or {} for page in range(pages)]
        stored = {doc_id: item for page in self._pages for doc_id, item in page.items()}
        return {doc_id: Item.from_json(item) for doc_id, item in stored.items()}

    def save(self, *items: Item) -> None:
        with self._lock:
            if not self._pages:
                self._pages = [{} for _ in range(len(items) // _ITEMS_PER_PAGE + 1)]
                _keep(self._store, _BATCH_KEY, len(self._pages))
            changed = set()
            for item in items:
                page = int(item.doc_id) % len(self._pages)
                self._pages[page][item.doc_id] = item.to_json()
                changed.add(page)
            for page in sorted(changed):
                _keep(self._store, f"{_BATCH_KEY}_{page}", self._pages[page])


def _keep(store: Any, key: str, value: Any) -> None:
    from airflow.sdk.execution_time.context import NEVER_EXPIRE

    store.set(key, value, retention=NEVER_EXPIRE)
