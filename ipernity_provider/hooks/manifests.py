"""Manifests, wherever they lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ipernity_provider.api.errors import SourceUnreadable
from ipernity_provider.api.storage import fault_of, open_to_read, shown
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.manifest import Line, kind_of, read_manifest, read_text
from ipernity_provider.replacement.order import Refused


def lines_of(manifest: Any, conn_id: str | None = None, base_url: str | None = None) -> list[Line]:
    """The lines of a manifest: a path or URI of a file, or a list such as a task (also a mapped one) returns.

    :param conn_id: the connection to its storage, if its URI names none.
    :param base_url: the service's address in the connection; a page there may stand for its document.
    :raises Refused: it cannot be read, or with all that is wrong in it.
    :raises SourceUnreadable: its storage fails; a later try may get through.
    """
    if isinstance(manifest, Sequence) and not isinstance(manifest, str | bytes):
        return read_manifest(manifest, place=_file, base_url=base_url)
    path = as_path(manifest, conn_id)
    kind = kind_of(shown(path.name))
    try:
        with open_to_read(path) as stream:
            data = stream.read()
    except Exception as error:  # noqa: BLE001 - storages raise what they like, and what they say may hold secrets
        fault = fault_of(error)
        kind_of_error = Refused if fault.permanent else SourceUnreadable
        raise kind_of_error(f"The manifest {shown(path)} {fault.words}. Nothing was sent.") from None
    return read_text(data, kind, path.name, partial(_file_beside, path.parent), base_url)


def _file_beside(folder: Any, text: str) -> str:
    """A relative file lies in the manifest's folder."""
    whole = "://" in text or text.startswith(("/", "~", "file:"))
    return _file(text if whole else str(folder / text))


def _file(text: str) -> str:
    """:raises ValueError: it is a folder, as far as that can be told without asking a storage."""
    if text.endswith("/") or _is_folder(text):
        raise ValueError(f"{shown(text)} is a folder; a replacement needs one file")
    return text


def _is_folder(text: str) -> bool:
    try:
        return "://" not in text and Path(text).expanduser().is_dir()
    except (OSError, RuntimeError):  # an endless link, an unknown user: opening it will say so
        return False
