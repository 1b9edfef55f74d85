"""What tells cheaply whether a file is still the one that was read."""

from __future__ import annotations

from ipernity_provider.api.upload import FilePath


def fingerprint(path: FilePath) -> str:
    """Size and time of the last change; empty where the storage does not tell them."""
    try:
        stat = path.stat()
        return f"{int(stat.st_size)}-{float(stat.st_mtime)!r}"
    except Exception:  # noqa: BLE001 - storages raise what they like, and reading the file will say what is wrong
        return ""
