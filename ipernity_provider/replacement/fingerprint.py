"""What tells cheaply whether a file is still the one that was read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ipernity_provider.api.multipart import FilePath
from ipernity_provider.api.storage import is_stored, told_of

# What storages call that which changes with a file; without its capitals and signs it is a few words.
_TELLING = frozenset(
    {
        "etag",
        "md5",
        "md5hash",
        "contentmd5",
        "crc32c",
        "checksum",
        "generation",
        "versionid",
        "lastmodified",
        "lastmodifiedtime",
        "modified",
        "modificationtime",
        "modify",
        "mtime",
        "updated",
    }
)


def fingerprint(path: FilePath) -> str:
    """Another one for a file that was changed; empty, and the file is to be examined anew, where nothing tells more than
    its size.
    """
    try:
        if isinstance(path, Path):
            stat = path.stat()
            # An overwriting program may set the time of the last change, but not that of the inode's.
            return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}-{stat.st_ino}"
        return _of_stored(path) if is_stored(path) else ""
    except Exception:  # noqa: BLE001 - storages raise what they like, and reading the file will say what is wrong
        return ""


def _of_stored(path: FilePath) -> str:
    told = told_of(path)
    size = told.get("size")
    telling = sorted((name, str(value)) for name, value in told.items() if value and _plain(name) in _TELLING)
    if not telling or not isinstance(size, int):
        return ""
    digest = hashlib.sha256(repr(telling).encode()).hexdigest()
    return f"{size}-{digest[:32]}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
