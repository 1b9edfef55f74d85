"""What users write for a file or a folder -> a path that can be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from airflow.sdk import ObjectStoragePath

from ipernity_provider.replacement.order import Refused


def as_path(file: Any) -> Any:
    """A local file as :class:`pathlib.Path`, any other as ``ObjectStoragePath``.

    :param file: a path, a URI (``file://``, ``s3://conn@bucket/key``, ...), or either of the two classes.
    :raises Refused: nothing is named, or nothing that this installation can open.
    """
    if isinstance(file, ObjectStoragePath):
        return Path(file.path) if file.protocol in {"", "file", "local"} else file
    text = str(file or "").strip()
    if not text:
        raise Refused("No file is named. Nothing was sent.")
    if text.startswith("file://"):
        return Path(url2pathname(urlsplit(text).path))
    if "://" not in text:
        return Path(text).expanduser()
    try:
        return ObjectStoragePath(text)
    except ValueError as error:
        raise Refused(f"{text} cannot be opened: {str(error).rstrip('.')}. Nothing was sent.") from error


def as_folder(folder: Any) -> Any:
    """The same for a folder; None and empty text mean that there is none."""
    return None if folder is None or not str(folder).strip() else as_path(folder)
