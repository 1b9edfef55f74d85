"""The state of the sandbox. One event loop reads and writes it, so it needs no locks."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from ipernity_provider.sandbox.containers import Album, Group
from ipernity_provider.sandbox.credentials import Credentials, Token
from ipernity_provider.sandbox.documents import Document, StoredFile
from ipernity_provider.sandbox.faults import Fault, take_fault
from ipernity_provider.sandbox.request import ReceivedFile
from ipernity_provider.sandbox.request_log import RequestLog
from ipernity_provider.sandbox.seeds import (
    make_seed_files,
    seeded_albums,
    seeded_documents,
    seeded_groups,
)
from ipernity_provider.sandbox.settings import LEVELS, QUOTA_BYTES, Settings
from ipernity_provider.sandbox.tickets import Ticket, Tickets

USED_BYTES_AT_START = 262144000
KEPT_BYTES = 64 * 1024**2
"""Earlier files up to this size are kept for the document's page."""


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

    :param folder: a private folder for the files; the caller removes it.
    :param start_settings: what :meth:`reset` restores.
    """

    def __init__(self, folder: Path, start_settings: Settings) -> None:
        self.folder = folder
        self._start_settings = start_settings
        seeds = folder / "seeds"
        seeds.mkdir()
        self._seed_files = make_seed_files(seeds)
        self._file_numbers = itertools.count(1)
        self._work: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self.documents: dict[str, Document] = {}
        self.reset()

    def reset(self) -> None:
        """Restore the seeds and the start-up settings; cancel uploads in progress."""
        for task in self._work:
            task.cancel()
        for document in self.documents.values():
            self._remove_files(document)
        self.documents = seeded_documents(self._seed_files)
        self.albums: dict[str, Album] = seeded_albums()
        self.groups: dict[str, Group] = seeded_groups()
        self.tickets = Tickets()
        self.credentials = Credentials()
        self.ledger: list[LedgerEntry] = []
        self.calls: Counter[str] = Counter()
        self.requests = RequestLog()
        self.used_bytes = USED_BYTES_AT_START
        self._numbers = {"document": itertools.count(10001), "album": itertools.count(301)}
        self._numbers["note"] = itertools.count(601)
        self.settings = self._start_settings
        self._apply_quota(self._start_settings)

    def now(self) -> float:
        """Return the service's time in unix seconds."""
        return time.time() + self.settings.clock_offset_seconds

    def at(self) -> int:
        return int(self.now())

    def clock(self) -> float:
        """Return the event loop's monotonic time in seconds, for durations."""
        return asyncio.get_running_loop().time()

    def start_work(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task in the background; :meth:`reset` cancels it."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def add_ticket_without_upload(self, seconds: float) -> str:
        """Issue a ticket that is done after ``seconds``; the document it names does not exist."""
        ticket = self.tickets.for_new_document(self.clock() + seconds)

        async def end() -> None:
            await self.until_ready(ticket)
            ticket.end("done", self.clock(), f"9{ticket.ticket}")

        self.start_work(end())
        return ticket.ticket

    async def until_ready(self, ticket: Ticket) -> None:
        """Wait until a ticket's time has come."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), max(0.0, ticket.ready_at - self.clock()))

    def finish_pending(self) -> int:
        """Let the time of all pending tickets come now; return how many they are."""
        pending = [ticket for ticket in self.tickets.known.values() if ticket.state == "pending"]
        for ticket in pending:  # also of those whose files are still looked at
            ticket.ready_at = min(ticket.ready_at, self.clock())
        waited_for, self._hurry = self._hurry, asyncio.Event()
        waited_for.set()
        return len(pending)

    def change_settings(self, changes: object) -> None:
        """Change some settings.

        :raises SettingsError: for the first change that is not possible; then nothing is changed.
        """
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
        """Return the fault for this call of ``method`` and use it up."""
        fault, left = take_fault(self.settings.faults, method)
        if fault is not None:
            self.settings = replace(self.settings, faults=left)
        return fault

    def use_invalid(self) -> bool:
        """Return whether this upload becomes invalid, and count ``invalid_next`` down."""
        left = self.settings.invalid_next
        if left:
            self.settings = replace(self.settings, invalid_next=left - 1)
        return left > 0

    def level(self, token: Token, right: str) -> str:
        rights = self.settings.permissions if token.rights is None else token.rights
        return rights.get(right, "none")

    def allows(self, token: Token | None, right: str, level: str) -> bool:
        """Return whether a token has a right; a higher level includes the lower ones."""
        if token is None:
            return False
        return LEVELS.index(self.level(token, right)) >= LEVELS.index(level)

    def new_file_path(self) -> Path:
        return self.folder / f"{next(self._file_numbers)}.upload"

    def new_id(self, kind: Literal["document", "album", "note"]) -> str:
        return str(next(self._numbers[kind]))

    def delete_document(self, document: Document) -> None:
        """Delete a document with its files, and take it out of its albums and groups."""
        del self.documents[document.doc_id]
        self._remove_files(document)
        containers: list[Album | Group] = [*self.albums.values(), *self.groups.values()]
        for container in containers:
            if document.doc_id in container.doc_ids:
                container.doc_ids.remove(document.doc_id)
        for album in self.albums.values():
            if album.cover_id == document.doc_id:
                album.cover_id = None

    def remove_file(self, file: StoredFile) -> None:
        """Delete a stored file and its thumbnails, unless it is a seed's."""
        if file.path.parent != self.folder:
            return
        file.path.unlink(missing_ok=True)
        for thumbnail in file.thumbnails:
            thumbnail.path.unlink(missing_ok=True)
        if file.thumbnails:
            file.thumbnails[0].path.parent.rmdir()

    def keep_file(self, file: StoredFile) -> None:
        """Keep a file that was replaced, but of a big one the thumbnails only."""
        if file.bytes > KEPT_BYTES and file.path.parent == self.folder:
            file.path.unlink(missing_ok=True)

    def _remove_files(self, document: Document) -> None:
        for file in document.files():
            self.remove_file(file)

    @property
    def unlimited(self) -> bool:
        """Whether the volume is "unlimited": its ceiling is raised when an upload needs it."""
        if self.settings.unlimited is not None:
            return self.settings.unlimited
        return self.settings.is_pro and self.settings.quota_left_bytes is None

    def quota_left(self) -> int:
        return max(0, self.ceiling_bytes - self.used_bytes)

    def has_volume_for(self, size: int) -> bool:
        return self.unlimited or size <= self.quota_left()

    def record_upload(
        self,
        method: str,
        doc_id: str | None,
        ticket: str,
        file: ReceivedFile,
    ) -> LedgerEntry:
        """Enter an accepted upload into the ledger; its volume counts, whatever becomes of it."""
        entry = LedgerEntry(
            method,
            doc_id,
            None,
            ticket,
            file.md5,
            file.bytes,
            file.filename,
            self.now(),
        )
        self.ledger.append(entry)
        self.used_bytes += file.bytes
        while self.unlimited and self.used_bytes > self.ceiling_bytes:
            self.ceiling_bytes += QUOTA_BYTES
        return entry


SANDBOX = web.AppKey("SANDBOX", Sandbox)
"""The key of the sandbox in its web application."""
