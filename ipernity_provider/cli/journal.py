"""What commands have sent: it is known after Ctrl-C, a crash or a restart, too.

They lie in the user's state folder (``XDG_STATE_HOME``, by default ``~/.local/state``), by account
and document: unlike a cache or ``/tmp``, it survives a restart, and unlike ``AIRFLOW_HOME``, it is
the same for each way to start the command. Other users cannot read it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ipernity_provider.cli.errors import CommandFailed
from ipernity_provider.files.writing import write_private
from ipernity_provider.replacement.record import UploadRecord
from ipernity_provider.text import display

_FOLDER = "airflow-provider-ipernity"


class FileJournal:
    """Keeps the record of one upload in a file, mode 0600."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> UploadRecord | None:
        """Return the record.

        :raises CommandFailed: the file does not hold one.
        """
        try:
            return UploadRecord.from_json(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CommandFailed(
                f"{display(self._path)} should say what was sent before, but cannot be read."
                " Nothing was sent. Look at the document; if it is as it should be, delete the"
                " file."
            ) from None

    def write(self, record: UploadRecord) -> None:
        with write_private(self._path.parent, self._path.stem) as file:
            file.stream.write(json.dumps(asdict(record)).encode())
            file.name = self._path.name

    def delete(self) -> None:
        """Delete the record, and what a killed process left of one."""
        for part in self._path.parent.glob(f".{self._path.stem}-*.part"):
            part.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


@contextmanager
def open_journal(host: str, user_id: str, doc_id: str) -> Iterator[FileJournal]:
    """Yield the journal of a document; no other command has it meanwhile.

    :param host: of the service, and ``user_id`` the account: ids are those of one service.
    :raises CommandFailed: another command has it, or the state folder cannot be used.
    """
    folder = account_folder(host, user_id)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(folder / f"{doc_id}.lock")
    except BlockingIOError:
        raise CommandFailed(
            f"Another command is replacing the file of document {doc_id} now. Nothing was sent."
        ) from None
    except OSError as error:
        raise CommandFailed(
            f"{display(folder)} cannot be used ({error.strerror}), and without it a crash could"
            " lead to sending twice. Nothing was sent. Set XDG_STATE_HOME to a folder of yours."
        ) from None
    try:
        journal = FileJournal(folder / f"{doc_id}.json")
        record = journal.read()
        # Its sender had the lock, so it has ended: what was not complete cannot have arrived.
        if record and not (record.complete or record.answered):
            journal.delete()
        yield journal
    finally:
        (folder / f"{doc_id}.lock").unlink(missing_ok=True)
        os.close(lock)


def _lock(path: Path) -> int:
    """Return the descriptor of a locked file.

    :raises BlockingIOError: another process has locked it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it before deletes it at the end: then this is a file without a name.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def account_folder(host: str, user_id: str) -> Path:
    """Return the folder of an account of a service, which need not exist.

    :raises CommandFailed: there is no place for it.
    """
    account = re.sub(r"[^a-z0-9.-]", "_", f"{host.lower()}-{user_id}")
    return _state_folder() / _FOLDER / account


def _state_folder() -> Path:
    named = os.environ.get("XDG_STATE_HOME", "")
    if Path(named).is_absolute():
        return Path(named)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:
        raise CommandFailed(
            "There is no home folder to keep what was sent, and without it a crash could lead to"
            " sending twice. Nothing was sent. Set XDG_STATE_HOME to a folder of yours."
        ) from None
