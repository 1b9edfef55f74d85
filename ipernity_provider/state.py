"""The journals of replacements in Airflow's task state store (3.3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ipernity_provider.airflow_compat import NEVER_EXPIRE, SUPERVISOR_LOCK
from ipernity_provider.bulk.journal import BulkJournal, JournalLost
from ipernity_provider.bulk.rows import Row
from ipernity_provider.replacement.errors import Refused, UploadAborted
from ipernity_provider.replacement.record import Journal, MemoryJournal, UploadRecord
from ipernity_provider.replacement.request import Intent

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_KEY = "ipernity_replacement"
_BULK_KEY = "ipernity_batch"
# Some twenty kilobytes a page: a row changes about four times, and each time its page is written.
_ROWS_PER_PAGE = 32
_NO_STORE = "This Airflow has no task state store (3.3 has): a retry can only ask the service."


def journal_of(context: Context, doc_id: str | None = None) -> Journal:
    """Return the task's journal: it survives retries, killed workers, and clearing the task.

    Before Airflow 3.3 there is none; the questions to the service still guard a retry.

    :param doc_id: of a document with a record of its own, where a task replaces several by itself.
    """
    store = cast("dict[str, Any]", context).get("task_state_store")
    if store is None:
        log.info(_NO_STORE)
        return MemoryJournal()
    return TaskStateJournal(store, f"{_KEY}_{doc_id}" if doc_id else _KEY)


def bulk_journal_of(context: Context) -> BulkJournal:
    """Return the task's journal of many uploads; see :func:`journal_of`.

    :raises Refused: there is none, and this is a retry: what earlier tries have sent is not known.
    """
    store = cast("dict[str, Any]", context).get("task_state_store")
    if store is not None:
        return TaskStateBulkJournal(store)
    log.info(_NO_STORE)
    if getattr(context["ti"], "try_number", 1) > 1:
        raise Refused(
            "Before Airflow 3.3 it is not known what an earlier try has sent. Nothing was sent."
            " Look at its report, then start a new run, which leaves alone documents that carry"
            " their files."
        )
    return BulkJournal()


def intent_of(context: Context) -> Intent:
    """Return on whose behalf a task replaces.

    Retries share an intent; clearing the task starts a new one.
    """
    there = cast("dict[str, Any]", context)
    ti, run, task = there["ti"], there.get("dag_run"), there.get("task")
    # Airflow raises max_tries when a task is cleared, and leaves it alone when it retries one.
    max_tries = getattr(ti, "max_tries", None)
    retries = getattr(task, "retries", None)
    cleared = isinstance(max_tries, int) and isinstance(retries, int) and max_tries > retries
    mapped = getattr(ti, "map_index", -1) not in {None, -1}
    # A cleared run gets a new start date: only the time that it was created for is older than all
    # of its uploads.
    began = getattr(run, "run_after", None) or getattr(run, "start_date", None)
    return Intent(
        id="" if max_tries is None else str(max_tries),
        since=began.timestamp() if began else None,
        without_journal=there.get("task_state_store") is None and getattr(ti, "try_number", 1) > 1,
        others_cleared=cleared and mapped,
    )


@dataclass
class TaskStateJournal:
    """Keeps the record under one key, for as long as the task instance exists."""

    store: Any
    key: str = _KEY

    def read(self) -> UploadRecord | None:
        stored = self.store.get(self.key)
        return UploadRecord.from_json(stored) if stored else None

    def write(self, record: UploadRecord) -> None:
        self.store.set(self.key, record.to_json(), retention=NEVER_EXPIRE)

    def delete(self) -> None:
        self.store.delete(self.key)


@dataclass
class TaskStateBulkJournal(BulkJournal):
    """Keeps rows in pages: a single value would be written anew, whole, at each change of one row.

    One key, the contents, says how many pages there are, and in which book. Each try writes a book
    of its own and that key last: a process that dies over it leaves the old book as it was, and
    what a process writes that was overtaken is not read by any other.
    """

    durable: ClassVar[bool] = True

    store: Any
    _book: int = field(default=0, init=False)
    _pages: list[dict[str, Any]] = field(default_factory=list, init=False)
    _page_of: dict[str, int] = field(default_factory=dict, init=False)

    def load(self) -> None:
        contents = self.store.get(_BULK_KEY) or {"book": 0, "pages": 0, "items": 0}
        self._book = contents["book"]
        keys = [self._key(page) for page in range(contents["pages"])]
        self._open([self.store.get(key) or {} for key in keys])
        if len(self._page_of) != contents["items"]:
            raise JournalLost(
                f"Of the {contents['items']} rows that were stored in the task state,"
                f" {len(self._page_of)} are left: some was deleted. Nothing was sent. Look at the"
                " report, then start a new run."
            )
        self.rows = {
            doc_id: Row.from_json(row) for page in self._pages for doc_id, row in page.items()
        }

    def begin(self, rows: Sequence[Row]) -> None:
        self.rows = {row.doc_id: row for row in rows}
        old = [self._key(page) for page in range(len(self._pages))]
        self._book += 1
        stored = [(row.doc_id, row.to_json()) for row in rows]
        starts = range(0, len(stored), _ROWS_PER_PAGE)
        self._open([dict(stored[start : start + _ROWS_PER_PAGE]) for start in starts])
        for page, content in enumerate(self._pages):
            self.store.set(self._key(page), content, retention=NEVER_EXPIRE)
        contents = {"book": self._book, "pages": len(self._pages), "items": len(stored)}
        self.store.set(_BULK_KEY, contents, retention=NEVER_EXPIRE)
        for key in old:
            self.store.delete(key)

    def save(self, *rows: Row) -> None:
        with SUPERVISOR_LOCK:
            changed = set()
            for row in rows:
                page, stored = self._page_of[row.doc_id], row.to_json()
                if self._pages[page][row.doc_id] != stored:
                    self._pages[page][row.doc_id] = stored
                    changed.add(page)
            for page in sorted(changed):
                self.store.set(self._key(page), self._pages[page], retention=NEVER_EXPIRE)
        self.rows |= {row.doc_id: row for row in rows}

    def require_current(self) -> None:
        with SUPERVISOR_LOCK:
            contents = self.store.get(_BULK_KEY)
        if contents is None or contents["book"] != self._book:
            raise UploadAborted("Another process has taken over; nothing more is sent.")

    def _open(self, pages: list[dict[str, Any]]) -> None:
        self._pages = pages
        self._page_of = {doc_id: number for number, page in enumerate(pages) for doc_id in page}

    def _key(self, page: int) -> str:
        return f"{_BULK_KEY}_{self._book}_{page}"
