"""What the tests of one replacement share: a quick clock, journals that crash, and ``run``."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.replacement.record import Journal, MemoryJournal, UploadRecord
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.replacement.request import Intent, ReplaceOptions, ReplaceRequest, Result
from ipernity_provider.replacement.schedule import Clock
from tests.conftest import BOAT

SPEED = 20.0


class FastClock:
    """A clock that waits a twentieth of each pause, for the sandbox to work in."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def time(self) -> float:
        return time.time() + self._skipped

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / SPEED)
        self.skip(seconds - seconds / SPEED)

    def skip(self, seconds: float) -> None:
        """Put the clock forward."""
        self._skipped += seconds


def replacement(
    client: IpernityClient,
    file: Any,
    journal: Journal | None = None,
    *,
    intent: Intent | None = None,
    clock: Clock | None = None,
    doc_id: str = BOAT,
    filename: str | None = None,
    **options: Any,
) -> Replacement:
    """Return a replacement whose waits are short; other members of it can still be set."""
    options = {"resend_grace": 20.0, "poll_interval": 2.0, "timeout": 400.0, **options}
    return Replacement(
        client,
        ReplaceRequest(doc_id=doc_id, file=file, filename=filename),
        ReplaceOptions(**options),
        journal or MemoryJournal(),
        intent or Intent(),
        clock=clock or FastClock(),
    )


def run(
    client: IpernityClient, file: Any, journal: Journal | None = None, **options: Any
) -> Result:
    return replacement(client, file, journal, **options).run()


def sent(client: IpernityClient, file: Any, journal: Journal, **options: Any) -> UploadRecord:
    """Send a file and stop there, as a process does that dies while it waits."""
    started = replacement(client, file, journal, **options).start()
    assert isinstance(started, UploadRecord)
    return started


def md5_of(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


class Crash(BaseException):
    """Stands for the end of the process."""


#: The writes of a journal while one small file is replaced.
WRITES = ("intent", "last block", "answer", "proof")


class CrashingJournal(MemoryJournal):
    """Ends the process at one of :data:`WRITES`, before or after it is kept; once."""

    def __init__(self, at_write: str, *, kept: bool = True) -> None:
        super().__init__()
        self._writes_left = WRITES.index(at_write) + 1
        self._kept = kept

    def write(self, record: UploadRecord) -> None:
        self._writes_left -= 1
        if self._kept or self._writes_left:
            super().write(record)
        if not self._writes_left:
            raise Crash
