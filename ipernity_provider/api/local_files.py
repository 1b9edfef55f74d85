"""Files of this machine: opened only if they are regular files, whatever their names lead to.

A named pipe without a writer blocks whoever opens it, ``/dev/zero`` never ends, and a link can lead to either.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

#: Of these, os.open knows the ones that the system has.
_NEVER_BLOCK = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)

_KINDS = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotRegularFile(OSError):
    """Something that has a file's name and is not a file with an end.

    :ivar what: its kind, such as ``a device``.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not a regular file")
        self.what = what


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


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read, without ever waiting for another process.

    :raises OSError: it cannot be opened.
    :raises NotRegularFile: it is not a regular file.
    """
    require_regular(path.stat())  # to open a device can be enough to set it off
    descriptor = os.open(path, os.O_RDONLY | _NEVER_BLOCK)
    try:
        require_regular(os.fstat(descriptor))  # another one may have taken the name meanwhile
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def resolve_links(path: Path) -> Path:
    """Return the absolute path behind all links, also of what does not exist.

    :raises OSError: the links lead in a circle (``ELOOP``), or a name is too long (``ENAMETOOLONG``). ``Path.resolve``
        alone raises for that what the version of Python likes, or nothing.
    :raises ValueError: there is a null byte in it.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
            raise
    return path.resolve()
