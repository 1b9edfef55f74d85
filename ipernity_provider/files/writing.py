"""Files written whole, on this machine or on object storage."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from ipernity_provider.files.checksums import change_marker
from ipernity_provider.files.paths import is_stored, require_regular, resolve_links

#: How much is written to a storage at once, in bytes: S3 takes no parts below 5 MiB.
WRITE_BLOCK_BYTES = 8 << 20

# Their folders are made by the names of what lies in them; asked to make one, a library makes a
# whole bucket.
_WITHOUT_FOLDERS = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "adl", "az"})


# To go through a folder one need not be allowed to list it, where the system knows that difference.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class PrivateFile:
    """A file that is being written; it gets its name at the end.

    :param name: set before the end, a name in the folder: it may be made of what was written.
    """

    stream: IO[bytes]
    name: str = ""


def make_folder(folder: Any) -> None:
    """Make a folder and those above it, where the storage has such a thing."""
    if not (is_stored(folder) and folder.protocol in _WITHOUT_FOLDERS):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def atomic_write(target: Any) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only when it is complete.

    If an error occurs before that, it does not appear at all.

    On this machine a link stays, and the file that it leads to is replaced; a file that was there
    keeps its mode, and its owner and group as far as this process may set them.

    :param target: ``pathlib.Path``, ``ObjectStoragePath`` or ``UPath``.
    :raises NotRegularFile: there is a pipe, a socket or a device of this machine; it is left alone.
    """
    with (
        _store_when_complete(target) if is_stored(target) else _rename_when_complete(target)
    ) as stream:
        yield stream


@contextmanager
def _rename_when_complete(target: Path) -> Iterator[IO[bytes]]:
    target = resolve_links(target)
    before = require_regular(target.stat()) if target.exists() else None
    # A name of its own: two tasks may write the same file, and the last one wins.
    part = target.with_name(f".ipernity-{uuid4().hex}.part")
    # What only some may read is not shown to others while it is written.
    opener = partial(os.open, mode=0o600 if before else 0o666)
    try:
        with open(part, "xb", opener=opener) as stream:
            yield stream
            if before:
                _copy_owner_and_mode(stream.fileno(), before)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _copy_owner_and_mode(descriptor: int, before: os.stat_result) -> None:
    """Give a file the owner, the group and the mode of another one."""
    # One by one: a process that may not give files away may still belong to the group.
    for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
        with suppress(PermissionError):
            os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))  # last: a new owner takes special bits away


@contextmanager
def _store_when_complete(target: Any) -> Iterator[IO[bytes]]:
    """Store a file only if it was written without an error.

    fsspec stores a file when it is closed, complete or not; ``autocommit=False`` prevents that.
    """
    before = change_marker(target)
    stream = target.open("wb", block_size=WRITE_BLOCK_BYTES, autocommit=False)
    try:
        with stream:
            yield stream
    except BaseException:
        with suppress(Exception):  # what went wrong before is what is to be told
            stream.discard()
        with suppress(
            Exception
        ):  # some storages know no `autocommit`; what was there and is untouched stays
            if not before or change_marker(target) != before:
                target.unlink(missing_ok=True)
        raise
    stream.commit()


@contextmanager
def write_private(folder: Path, prefix: str = "ipernity") -> Iterator[PrivateFile]:
    """Write a new file in a local folder, readable by its owner alone.

    The file appears when it is complete, or not at all.

    Folders that are missing are made, for their owner alone. The folder is opened once, and all
    happens in what was opened: a link that another process puts there meanwhile is not followed.

    :param prefix: of the name that the file has until it is complete: who kills this process leaves
        ``.PREFIX-*.part`` behind.
    :raises OSError: the folder or the file cannot be written.
    :raises ValueError: the name leads out of the folder.
    """
    place = _open_folder(resolve_links(folder))
    part = f".{prefix}-{uuid4().hex}.part"
    try:
        with os.fdopen(os.open(part, _NEW_FILE, 0o600, dir_fd=place), "wb") as stream:
            file = PrivateFile(stream)
            yield file
            stream.flush()
            os.fsync(stream.fileno())  # what it is a copy of is about to be replaced
        if not file.name.strip(".") or set(file.name) & {"/", "\0"}:
            raise ValueError("the name of a file must not lead out of its folder")
        os.rename(part, file.name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        with suppress(OSError):
            os.unlink(part, dir_fd=place)
        raise
    finally:
        os.close(place)


def _open_folder(folder: Path) -> int:
    """Return the descriptor of a folder, opened part by part without following a link.

    Missing folders are created.

    :param folder: absolute, with its links resolved.
    """
    root, *parts = folder.parts
    place = os.open(root, _FOLDER)
    try:
        for part in parts:
            try:
                below = os.open(part, _FOLDER, dir_fd=place)
            except FileNotFoundError:
                with suppress(FileExistsError):  # another process was faster
                    os.mkdir(part, 0o700, dir_fd=place)
                below = os.open(part, _FOLDER, dir_fd=place)
            os.close(place)
            place = below
    except BaseException:
        os.close(place)
        raise
    return place
