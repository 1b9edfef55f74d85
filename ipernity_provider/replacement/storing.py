"""Files written whole, on this machine or on object storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

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

    :param target: ``pathlib.Path``, ``ObjectStoragePath`` or ``UPath``.
    """
    with _stored_whole(target) if is_stored(target) else _renamed_at_the_end(target) as stream:
        yield stream


@contextmanager
def _renamed_at_the_end(target: Path) -> Iterator[IO[bytes]]:
    # A name of its own: two tasks may write the same file, and the last one wins.
    part = target.with_name(f".ipernity-{uuid4().hex}.part")
    try:
        with part.open("wb") as stream:
            yield stream
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(target)


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
