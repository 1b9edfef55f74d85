"""Files written whole, on this machine or on object storage."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from ipernity_provider.api.local_files import require_regular, resolve_links
from ipernity_provider.api.storage import WRITE_BLOCK_BYTES, is_stored

# Their folders are made by the names of what lies in them; asked to make one, a library makes a whole bucket.
_WITHOUT_FOLDERS = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "adl", "az"})


def make_folder(folder: Any) -> None:
    """Make a folder and those above it, where the storage has such a thing."""
    if not (is_stored(folder) and folder.protocol in _WITHOUT_FOLDERS):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def written_whole(target: Any) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when it is complete, and not at all if an error comes between.

    On this machine a link stays, and the file that it leads to is replaced; a file that was there keeps its mode, and its
    owner and group as far as this process may set them.

    :param target: ``pathlib.Path``, ``ObjectStoragePath`` or ``UPath``.
    :raises NotRegularFile: there is a pipe, a socket or a device of this machine; it is left alone.
    """
    with _stored_whole(target) if is_stored(target) else _renamed_at_the_end(target) as stream:
        yield stream


@contextmanager
def _renamed_at_the_end(target: Path) -> Iterator[IO[bytes]]:
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
                _take_over(stream.fileno(), before)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _take_over(descriptor: int, before: os.stat_result) -> None:
    """Give a file the owner, the group and the mode of another one."""
    # One by one: a process that may not give files away may still belong to the group.
    for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
        with suppress(PermissionError):
            os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))  # last: a new owner takes special bits away


@contextmanager
def _stored_whole(target: Any) -> Iterator[IO[bytes]]:
    """Fsspec stores a file when it is closed, be it complete or not; ``autocommit`` leaves that to us."""
    stream = target.open("wb", block_size=WRITE_BLOCK_BYTES, autocommit=False)
    try:
        with stream:
            yield stream
    except BaseException:
        with suppress(Exception):  # what went wrong before is what is to be told
            stream.discard()
        with suppress(Exception):  # some storages know no `autocommit`
            target.unlink(missing_ok=True)
        raise
    stream.commit()
