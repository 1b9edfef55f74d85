"""What users write for a file or a folder -> a path that can be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow.sdk import ObjectStoragePath

from ipernity_provider.replacement.order import Refused

_LOCAL = frozenset({"", "file", "local"})


def as_path(file: Any) -> Any:
    """A local file as :class:`pathlib.Path`, any other as ``ObjectStoragePath``.

    :param file: a path, a URI (``file://``, ``s3://conn@bucket/key``, ...), or either of the two classes.
    :raises Refused: nothing is named, or nothing that this installation can open.
    """
    if isinstance(file, ObjectStoragePath):
        return Path(file.path) if file.protocol in _LOCAL else file
    text = str(file or "").strip()
    if not text:
        raise Refused("No file is named. Nothing was sent.")
    scheme, separator, rest = text.partition("://")
    try:
        if not separator:
            return Path(text).expanduser()
        return _local(rest) if scheme.lower() in _LOCAL else ObjectStoragePath(f"{scheme.lower()}://{rest}")
    except (ValueError, RuntimeError) as error:
        raise Refused(f"{text} cannot be opened: {str(error).rstrip('.')}. Nothing was sent.") from error


def _local(rest: str) -> Path:
    """What follows ``file://``: all of it is the path, but for a host, which can only be this one."""
    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        raise ValueError("a local file is named file:///folder/name, without a host")
    return Path(unquote(f"/{path}"))


def as_folder(folder: Any) -> Any:
    """The same for a folder; None and empty text mean that there is none."""
    return None if folder is None or not str(folder).strip() else as_path(folder)
