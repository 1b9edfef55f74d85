"""Where a file lies, and how it is opened: only a regular one, and only from where it may come.

A path that was checked can lead elsewhere a moment later: who may write in a folder swaps a link in
between. So a file of this machine is opened below its root, component by component, without
following a link; what was opened is what is read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import unquote, unquote_to_bytes

from ipernity_provider.files.errors import FileError, NotRegularFile, file_error
from ipernity_provider.text import display

#: How much is asked of a storage at once, in bytes. fsspec's own 50 MiB cost 150 MiB of memory; 8
#: MiB cost 37, and less than that costs time where each answer of the storage does.
READ_BLOCK_BYTES = 8 << 20

_LOCAL = frozenset({"file", "local"})
#: Of these, os.open knows the ones that the system has.
_NEVER_BLOCK = (
    getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_KINDS = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class ReadableFile:
    """A file that can be opened again and again, each time below the root that allows it.

    :param path: with its links resolved: ``pathlib.Path``, or ``ObjectStoragePath`` or ``UPath``.
    :param root: the folder of this machine that must hold it; None where any will do.
    """

    path: Any
    root: Path | None = None

    @property
    def name(self) -> str:
        return str(self.path.name)

    def open(self, _: Literal["rb"] = "rb", /) -> Any:
        """Open the file to read its bytes.

        :raises FileError: it cannot be opened, is not a regular file, or no longer lies below its
            root.
        """
        try:
            if isinstance(self.path, Path):
                return open_below(self.root, self.path) if self.root else open_regular(self.path)
            if is_stored(self.path):
                return self.path.open("rb", block_size=READ_BLOCK_BYTES)
            return self.path.open("rb")
        except Exception as error:  # noqa: BLE001 - storages raise what they like
            raise file_error(self.path, error) from None

    def stat(self) -> Any:
        return self.path.stat()


def require_inside(path: Any, upload_roots: Sequence[str]) -> ReadableFile:
    """Return the file, with the links of its path resolved.

    :param upload_roots: folders or URIs of which one must hold it; none: any file.
    :raises FileError: it lies outside, its links lead in a circle, or its name is too long.
    """
    try:
        resolved = path if is_stored(path) else resolve_links(path)
    except Exception as error:  # noqa: BLE001
        raise file_error(path, error) from None
    if not upload_roots:
        return ReadableFile(resolved)
    for root in upload_roots:
        if isinstance(resolved, Path):
            if (folder := _resolved_root(root)) and resolved.is_relative_to(folder):
                return ReadableFile(resolved, folder)
        elif _is_below(str(resolved), root):
            return ReadableFile(resolved)
    raise FileError(
        f"{display(resolved)} lies outside the folders that uploads may come from"
        f" ({', '.join(upload_roots)}).",
        permanent=True,
    )


def _resolved_root(root: str) -> Path | None:
    try:
        folder = local_path(root)
        return resolve_links(folder) if folder else None
    except (ValueError, RuntimeError, OSError):  # such a root holds nothing
        return None


def _is_below(address: str, root: str) -> bool:
    """Return whether an address is below a root; they are compared part by part.

    If a storage may read a part in another way, the address does not count as below the root.
    """
    parts, wanted = address.split("/"), root.rstrip("/").split("/")
    rest = parts[len(wanted) :]
    decoded = [unquote(part) for part in rest]  # some storages decode a name, some do not
    ambiguous = any(part in {"", ".", ".."} or "/" in part or "\\" in part for part in decoded)
    return parts[: len(wanted)] == wanted and not ambiguous


def is_stored(file: object) -> bool:
    """Return whether a path belongs to an fsspec file system, not to the local one.

    Such paths are ``ObjectStoragePath`` and ``UPath``.
    """
    return hasattr(type(file), "fs") and not isinstance(file, Path)


def object_info(file: Any) -> Mapping[str, Any]:
    """Return what a storage says of a file now: one question, answered in each storage's own words.

    :raises Exception: whatever the storage's library raises.
    """
    file.fs.invalidate_cache(
        file.path
    )  # a listing that this process made earlier may be out of date
    info: Mapping[str, Any] = file.fs.info(file.path)
    return info


def local_path(text: str) -> Path | None:
    """Return the local file or folder that a path or a ``file:`` address names.

    None for any other address.

    :raises ValueError: the address names another machine, or nothing.
    :raises RuntimeError: ``~`` does not lead to a home.
    """
    scheme, _, rest = text.partition(":")
    if scheme.lower() not in _LOCAL or not rest.startswith("/"):
        return None if "://" in text else Path(text).expanduser()
    host, slash, path = rest.removeprefix("//").partition("/")
    if host not in {"", "localhost"} or not slash:
        raise ValueError("a local file is named file:///folder/name, without a host")
    # All that follows is the path, also a ? or a #; its bytes need not be UTF-8.
    return Path(os.fsdecode(unquote_to_bytes(os.fsencode(f"/{path}"))))


def resolve_links(path: Path) -> Path:
    """Return the absolute path behind all links, also of what does not exist.

    :raises OSError: the links lead in a circle (``ELOOP``), or a name is too long
        (``ENAMETOOLONG``). What ``Path.resolve`` alone raises for that depends on the version of
        Python.
    :raises ValueError: there is a null byte in it.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
            raise
    return path.resolve()


def require_regular(status: os.stat_result) -> os.stat_result:
    """Return the status of a regular file.

    :raises IsADirectoryError: it is that of a folder.
    :raises NotRegularFile: it is that of a pipe, a socket or a device.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularFile(_KINDS.get(stat.S_IFMT(status.st_mode), "something unknown"))
    return status


def open_regular(path: Path, folder: int | None = None) -> BinaryIO:
    """Open a file to read, without ever waiting for another process.

    :param folder: descriptor of the folder that the path begins in; its last part is not followed
        if it is a link.
    :raises OSError: it cannot be opened.
    :raises NotRegularFile: it is not a regular file.
    """
    # To open a device can be enough to set it off.
    require_regular(os.stat(path, dir_fd=folder, follow_symlinks=folder is None))
    link = _NO_LINK if folder is not None else 0
    descriptor = os.open(path, os.O_RDONLY | _NEVER_BLOCK | link, dir_fd=folder)
    try:
        require_regular(os.fstat(descriptor))  # another one may have taken the name meanwhile
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_below(root: Path, path: Path) -> BinaryIO:
    """Open a file below a folder, without following a link on the way.

    :param root: and ``path``: with their links resolved; a link that is there now was put there
        since.
    :raises OSError: it cannot be opened so.
    """
    *folders, name = path.relative_to(root).parts
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | _NEVER_BLOCK)
    try:
        for part in folders:
            below = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK | _NEVER_BLOCK, dir_fd=folder
            )
            os.close(folder)
            folder = below
        return open_regular(Path(name), folder)
    finally:
        os.close(folder)
