"""The record of a probe: what it is about to make is written down before it is made.

It is a private file on this machine. Whenever a probe ends, even by a crash, the next one finds
there what may exist on the service.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from ipernity_provider.files.writing import write_private

VERSION = 1


class RecordUnusable(Exception):
    """The record cannot be read or written; one sentence for a person."""


@dataclass
class Attempt:
    """One upload that may have left a document on the service.

    :param title: of the document that it makes or replaces.
    :param started_at: unix seconds by this machine's clock, just before it was sent.
    :param replaces: the document to be replaced.
    :param ticket: what the service answered; None where no answer came.
    :param doc_id: the document that it resulted in; None until that is known.
    """

    method: str
    media: str
    filename: str
    title: str
    md5: str
    bytes: int
    started_at: float
    replaces: str | None = None
    ticket: str | None = None
    doc_id: str | None = None


class Record:
    """The attempts of the probes of one account that were not cleaned up.

    :param path: of the file; it is removed when nothing is left.
    :param account: address of the service and id of the user: other accounts have other documents.
    """

    def __init__(self, path: Path, account: str, attempts: list[Attempt]) -> None:
        self.path = path
        self.account = account
        self.attempts = attempts

    @classmethod
    def load(cls, path: Path, account: str) -> Self:
        """Read the record, or begin an empty one.

        :raises RecordUnusable: it is unreadable, or another account's.
        """
        try:
            content = json.loads(path.read_bytes())
            known = {item.name for item in fields(Attempt)}
            attempts = [
                Attempt(**{name: value for name, value in one.items() if name in known})
                for one in content["attempts"]
            ]
            version, owner = content["version"], content["account"]
        except FileNotFoundError:
            return cls(path, account, [])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RecordUnusable(
                f"The record of an earlier probe, {path}, cannot be read ({type(error).__name__}). "
                "Look for documents named ipernity-probe in the account, then delete the file."
            ) from None
        if version != VERSION or owner != account:
            raise RecordUnusable(
                f"The record of an earlier probe, {path}, belongs to another account or version. "
                "Probe with that account to clean up, or delete the file."
            )
        return cls(path, account, attempts)

    def add(self, attempt: Attempt) -> None:
        """Write down an upload that is about to be sent."""
        self.attempts.append(attempt)
        self.save()

    def remove(self, attempt: Attempt) -> None:
        """Forget an upload that left nothing on the service."""
        self.attempts.remove(attempt)
        self.save()

    def save(self) -> None:
        """Write the record, so that it survives a crash of the machine.

        :raises RecordUnusable: it cannot be written.
        """
        content: dict[str, Any] = {
            "version": VERSION,
            "account": self.account,
            "attempts": [asdict(attempt) for attempt in self.attempts],
        }
        try:
            if not self.attempts:
                self.path.unlink(missing_ok=True)
                return
            with write_private(self.path.parent) as file:
                file.name = self.path.name
                file.stream.write(json.dumps(content, indent=2).encode())
        except OSError as error:
            raise RecordUnusable(
                f"The probe's record {self.path} cannot be written ({error.strerror}). "
                "Nothing is sent without it."
            ) from None


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep other probes away from a record; the lock ends with this process at the latest.

    :raises RecordUnusable: another probe has it, or it cannot be locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise RecordUnusable(
            f"The folder {path.parent} of the probe's record cannot be used ({error.strerror})."
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordUnusable(
                f"Another probe of this account is running; it holds {path}. Nothing was sent."
            ) from None
        yield
    finally:
        os.close(lock)
