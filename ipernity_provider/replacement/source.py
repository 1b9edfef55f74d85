"""The file to send: where it may lie, its size, checksum and media class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ipernity_provider.api.errors import IpernityError, SourceUnreadable
from ipernity_provider.api.local_files import resolve_links
from ipernity_provider.api.models import Document, MediaClass
from ipernity_provider.api.multipart import BLOCK_BYTES, FilePath
from ipernity_provider.api.storage import fault_of, local_path, open_to_read, shown
from ipernity_provider.replacement.checksum import claim_of
from ipernity_provider.replacement.media import HEAD_BYTES, media_of, media_of_name
from ipernity_provider.replacement.order import Refused


@dataclass(frozen=True)
class Source:
    """A file that was looked at.

    :param md5: of its bytes; by the storage's word, as long as it is the ``claim``.
    :param media: its class on the service; None where neither name nor bytes say it.
    :param claim: the MD5 that the storage claims; None if it claims none, or if the bytes have shown that it is right.
    """

    path: FilePath
    name: str
    size: int
    md5: str
    media: MediaClass | None
    claim: str | None = None

    @property
    def unread(self) -> bool:
        """Whether nobody has compared the checksum with the bytes yet."""
        return self.claim == self.md5

    def as_read(self, md5: str, size: int) -> Source:
        """The same file, with what its bytes have shown."""
        return replace(self, md5=md5, size=size, claim=None if md5 == self.claim else self.claim)


def examine(file: FilePath, filename: str | None, upload_roots: Sequence[Sequence[str]]) -> Source:
    """Look at the file: read it once for its checksum, if its storage claims none.

    :raises Refused: it is missing, empty, a folder, a pipe or a device, unreadable, lies outside the roots, or its name cannot be told.
    :raises SourceUnreadable: its storage fails; a later try may get through.
    """
    with _refusing(file):
        path = allowed(file, upload_roots)
        name = _tellable(filename or file.name, file)
        if claim := claim_of(path):
            head = b"" if media_of_name(name) else _first_bytes(path)
            source = Source(path, name, claim.size, claim.md5, media_of(name, head), claim.md5)
        else:
            size, md5, head = _read(path)
            source = Source(path, name, size, md5, media_of(name, head))
    if source.size == 0:
        raise Refused(f"{shown(file)} is empty. Nothing was sent.")
    return source


def read_through(source: Source) -> Source:
    """The same file, read for its checksum whatever its storage claims.

    :raises Refused: and :raises SourceUnreadable: as for :func:`examine`.
    """
    with _refusing(source.path):
        size, md5, _ = _read(source.path)
    return source.as_read(md5, size)


def read_if_in_doubt(source: Source, document: Document) -> Source:
    """The same file, read if its checksum is only claimed and differs from that of a document of its very size.

    That is rather a wrong claim than another file, and reading costs less than sending. What was read is not in doubt
    any more.

    :raises Refused: and :raises SourceUnreadable: as for :func:`examine`.
    """
    in_doubt = source.unread and source.md5 != document.md5 and source.size == document.bytes
    return read_through(source) if in_doubt else source


def allowed(file: FilePath, upload_roots: Sequence[Sequence[str]]) -> FilePath:
    """The path with its links resolved.

    :raises Refused: it lies outside the roots, its links lead in a circle, or its name is too long.
    """
    with _refusing(file):
        path = resolve_links(file) if isinstance(file, Path) else file
    for roots in upload_roots:
        _require_inside(path, roots)
    return path


def _tellable(name: str, file: FilePath) -> str:
    """:raises Refused: the service, which takes UTF-8, cannot be told this name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Refused(
            f"{shown(file)} cannot be told to the service as {shown(name)}, which is not UTF-8: give another name with "
            "filename. Nothing was sent."
        ) from None
    return name


@contextmanager
def _refusing(file: FilePath) -> Iterator[None]:
    """Turns what a storage raises into one sentence; its own text can hold what must not be shown."""
    try:
        yield
    except IpernityError:
        raise
    except Exception as error:  # noqa: BLE001 - storages raise what they like
        fault = fault_of(error)
        words = "is a folder; a replacement needs one file" if fault.kind == "folder" else fault.words
        kind = Refused if fault.permanent else SourceUnreadable
        raise kind(f"{shown(file)} {words}. Nothing was sent.") from None


def _read(path: FilePath) -> tuple[int, str, bytes]:
    """Size, MD5 and first bytes."""
    digest = hashlib.md5()
    buffer = memoryview(bytearray(BLOCK_BYTES))
    size, head = 0, b""
    with open_to_read(path) as stream:
        while count := stream.readinto(buffer):
            head = head or bytes(buffer[: min(count, HEAD_BYTES)])
            digest.update(buffer[:count])
            size += count
    return size, digest.hexdigest(), head


def _first_bytes(path: FilePath) -> bytes:
    with open_to_read(path) as stream:
        return bytes(stream.read(HEAD_BYTES))


def _require_inside(path: FilePath, roots: Sequence[str]) -> None:
    if not any(_inside(path, root) for root in roots):
        allowed = ", ".join(roots) or "nothing at all"
        raise Refused(
            f"{shown(path)} lies outside the folders that uploads may come from ({allowed}). Nothing was sent."
        )


def _inside(path: FilePath, root: str) -> bool:
    """Local paths are compared with all links resolved, addresses part by part; ``..`` never leads out."""
    if isinstance(path, Path):
        try:
            folder = local_path(root)
            return folder is not None and path.is_relative_to(resolve_links(folder))
        except (ValueError, RuntimeError, OSError):  # such a root holds nothing
            return False
    parts = str(path).split("/")
    wanted = root.rstrip("/").split("/")
    return ".." not in parts and parts[: len(wanted)] == wanted
