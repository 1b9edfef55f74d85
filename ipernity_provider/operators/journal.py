"""The journal of a replacement in Airflow's task state store."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from ipernity_provider.replacement.journal import Entry, Journal, MemoryJournal

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_KEY = "ipernity_replacement"


def journal_of(context: Context) -> Journal:
    """The task's journal: it survives retries, killed workers, and clearing the task.

    Before Airflow 3.3 there is none; the questions to the service still guard a retry.
    """
    store = cast("dict[str, Any]", context).get("task_state_store")
    if store is None:
        log.info(
            "This Airflow has no task state store (3.3 has): a retry can only ask the service what has arrived."
        )
        return MemoryJournal()
    return TaskStateJournal(store)


class TaskStateJournal:
    """Keeps the entry under one key, for as long as the task instance exists."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def read(self) -> Entry | None:
        stored = self._store.get(_KEY)
        return Entry.from_json(stored) if stored else None

    def write(self, entry: Entry) -> None:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        self._store.set(_KEY, entry.to_json(), retention=NEVER_EXPIRE)

    def forget(self) -> None:
        self._store.delete(_KEY)
