"""Manifests, wherever they lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ipernity_provider.api.storage import fault_of, shown
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.manifest import Line, kind_of, read_manifest, read_text
from ipernity_provider.replacement.order import Refused


def lines_of(manifest: Any, conn_id: str | None = None) -> list[Line]:
    """The lines of a manifest: a path or URI of a file, or a list such as a task returns.

    :param conn_id: the connection to its storage, if its URI names none.
    :raises Refused: it cannot be read, or with all that is wrong in it.
    """
    if isinstance(manifest, list | tuple):
        return read_manifest(manifest)
    path = as_path(manifest, conn_id)
    kind = kind_of(path.name)
    try:
        data = path.read_bytes()
    except Exception as error:  # noqa: BLE001 - storages raise what they like, and what they say may hold secrets
        raise Refused(f"The manifest {shown(path)} {fault_of(error).words}. Nothing was sent.") from None
    return [_beside(line, path) for line in read_text(data, kind, path.name)]


def _beside(line: Line, manifest: Any) -> Line:
    """A relative file lies in the manifest's folder."""
    if "://" in line.file or line.file.startswith(("/", "~")):
        return line
    return replace(line, file=str(manifest.parent / line.file))
