"""All that the sandbox remembers. One event loop reads and writes it, so it needs no locks."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from ipernity_provider.sandbox.credentials import Credentials, Token
from ipernity_provider.sandbox.documents import Document, StoredFile
from ipernity_provider.sandbox.faults import Fault, take_fault
from ipernity_provider.sandbox.seeds import make_seed_files, seeded_documents
from ipernity_provider.sandbox.settings import LEVELS, QUOTA_BYTES, Settings
from ipernity_provider.sandbox.tickets import Tickets

USED_BYTES_AT_START = 262144000


@dataclass
class LedgerEntry:
    """One accepted upload; ``md5`` and ``bytes`` are those received."""

    method: str
    doc_id: str | None
    new_doc_id: str | None
    ticket: str
    md5: str
    bytes: int
    filename: str
    at: float


class Sandbox:
    """The emulated service: its documents, tickets, tokens and counts.

    :param folder: a private folder for the files, removed by whoever made it.
    :param start_settings: what :meth:`reset` comes back to.
    """

    def __init__(self, folder: Path, start_settings: Settings) -> None:
        self.folder = folder
        self._start_settings = start_settings
        seeds = folder / "seeds"
        seeds.mkdir()
        self._seed_files = make_seed_files(seeds)
        self._file_numbers = itertools.count(1)
        self._work: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self.documents: dict[str, Document] = {}
        self.reset()

    def reset(self) -> None:
        """Back to the seeds and the start-up settings; uploads in progress are dropped."""
        for task in self._work:
            task.cancel()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for document in self.documents.values():
            self.remove_file(document.file)
        self.documents = seeded_documents(self._seed_files)
        self.tickets = Tickets()
        self.credentials = Credentials()
        self.ledger: list[LedgerEntry] = []
        self.calls: Counter[str] = Counter()
        self.used_bytes = USED_BYTES_AT_START
        self._document_numbers = itertools.count(10001)
        self.settings = self._start_settings
        self._apply_quota(self._start_settings)

    # time

    def now(self) -> float:
        """The service's clock, in unix seconds."""
        return time.time() + self.settings.clock_offset_seconds

    def at(self) -> int:
        return int(self.now())

    def clock(self) -> float:
        """For durations: the event loop's clock, which nothing can set."""
        return asyncio.get_running_loop().time()

    def start_work(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the calls; :meth:`reset` ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def add_plain_ticket(self, seconds: float) -> str:
        """A ticket with no upload behind it, done after ``seconds``; it names a document that does not exist."""
        ticket = self.tickets.for_new_document(self.clock() + seconds)
        doc_id = f"9{ticket.ticket}"
        end = partial(ticket.end, "done", ticket.ready_at, doc_id)
        self._timers.append(asyncio.get_running_loop().call_later(seconds, end))
        return ticket.ticket

    # settings

    def change_settings(self, changes: object) -> None:
        """:raises SettingsError: and changes nothing."""
        self.settings = self.settings.changed(changes)
        if isinstance(changes, dict) and "quota_left_bytes" in changes:
            self._apply_quota(self.settings)

    def _apply_quota(self, settings: Settings) -> None:
        self.ceiling_bytes = QUOTA_BYTES
        if settings.quota_left_bytes is None:
            self.used_bytes = USED_BYTES_AT_START
        else:
            self.used_bytes = QUOTA_BYTES - settings.quota_left_bytes

    def take_fault(self, method: str) -> Fault | None:
        fault, left = take_fault(self.settings.faults, method)
        if fault is not None:
            self.settings = replace(self.settings, faults=left)
        return fault

    def take_invalid(self) -> bool:
        """Whether the upload accepted just now is one of those ordered to fail."""
        ordered = self.settings.invalid_next
        if ordered:
            self.settings = replace(self.settings, invalid_next=ordered - 1)
        return ordered > 0

    # rights

    def level(self, token: Token, right: str) -> str:
        rights = self.settings.permissions if token.rights is None else token.rights
        return rights.get(right, "none")

    def allows(self, token: Token | None, right: str, level: str) -> bool:
        """Whether a token carries a right; a higher level contains the lower ones."""
        return token is not None and LEVELS.index(self.level(token, right)) >= LEVELS.index(level)

    # files

    def new_file_path(self) -> Path:
        return self.folder / f"{next(self._file_numbers)}.upload"

    def new_doc_id(self) -> str:
        return str(next(self._document_numbers))

    def remove_file(self, file: StoredFile) -> None:
        """Delete a stored file and its thumbnails, unless it is a seed's."""
        if file.path.parent != self.folder:
            return
        file.path.unlink(missing_ok=True)
        for thumbnail in file.thumbnails:
            thumbnail.path.unlink(missing_ok=True)
        if file.thumbnails:
            file.thumbnails[0].path.parent.rmdir()

    # the month's volume

    @property
    def unlimited(self) -> bool:
        """Whether the account's volume is "unlimited": a ceiling that is raised when an upload needs it."""
        told = self.settings.unlimited
        return self.settings.is_pro and self.settings.quota_left_bytes is None if told is None else told

    def quota_left(self) -> int:
        return max(0, self.ceiling_bytes - self.used_bytes)

    def has_volume_for(self, size: int) -> bool:
        return self.unlimited or size <= self.quota_left()

    def use_volume(self, size: int) -> None:
        self.used_bytes += size
        while self.unlimited and self.used_bytes > self.ceiling_bytes:
            self.ceiling_bytes += QUOTA_BYTES


SANDBOX = web.AppKey("SANDBOX", Sandbox)
"""Where the pages and methods find it in their application."""
