"""Manifests, wherever they lie."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ipernity_provider.api.errors import SourceUnreadable
from ipernity_provider.bulk.manifest import ManifestLine, kind_of, read_list, read_text
from ipernity_provider.files.errors import file_error
from ipernity_provider.files.paths import ReadableFile
from ipernity_provider.hooks.files import as_path, is_one_of
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.text import display


def read_manifest(
    manifest: Any, conn_id: str | None = None, base_url: str | None = None
) -> list[ManifestLine]:
    """Read a manifest.

    It is a path or URI of a file, or a list such as a task (also a mapped one) returns.

    :param conn_id: the connection to its storage, if its URI names none.
    :param base_url: the service's address in the connection; a page there may stand for its
        document.
    :raises Refused: it cannot be read, or with all that is wrong in it.
    :raises SourceUnreadable: its storage fails; a later try may succeed.
    """
    if isinstance(manifest, Sequence) and not isinstance(manifest, str | bytes):
        return read_list(manifest, locate=_locate, base_url=base_url)
    path = as_path(manifest, conn_id)
    kind = kind_of(display(path.name))
    try:
        with ReadableFile(path).open() as stream:
            data = stream.read()
    except Exception as error:  # noqa: BLE001 - storages raise what they like, and what they say may hold secrets
        fault = file_error(path, error)
        kind_of_error = Refused if fault.permanent else SourceUnreadable
        raise kind_of_error(f"The manifest {fault} Nothing was sent.") from None
    return read_text(data, kind, path.name, partial(_locate_beside, path.parent), base_url)


def require_report_elsewhere(
    report_to: Any, conn_id: str | None, manifest: Any, lines: Iterable[ManifestLine]
) -> None:
    """Require that a report does not overwrite the manifest or one of its files.

    :raises Refused: it would.
    """
    place = display(str(report_to).strip()) if report_to else ""
    read = {line.file for line in lines} | {str(manifest)}
    if place and (place in read or is_one_of(as_path(report_to, conn_id), read)):
        raise Refused(
            f"report_to is {place}, which would overwrite the manifest or one of its files."
            " Nothing was sent."
        )


def _locate_beside(folder: Any, text: str) -> str:
    """Return the path of a row's file; a relative one lies in the manifest's folder."""
    whole = "://" in text or text.startswith(("/", "~", "file:"))
    return _locate(text if whole else str(folder / text))


def _locate(text: str) -> str:
    """Return the path of a file as it is spelt on this machine.

    macOS writes an accent as a separate character.

    :raises ValueError: it is a folder, as far as that is known without asking a storage.
    """
    if text.endswith("/"):
        raise ValueError(f"{display(text)} is a folder; a replacement needs one file")
    if "://" in text or text.startswith("file:"):
        return text
    head, slash, name = text.rpartition("/")
    spellings = [text]
    if not text.isascii():
        forms: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")
        spellings += [unicodedata.normalize(form, text) for form in forms]
        spellings += [head + slash + unicodedata.normalize(form, name) for form in forms]
    for spelling in spellings:
        try:
            path = Path(spelling).expanduser()
            if path.is_dir():
                raise ValueError(f"{display(spelling)} is a folder; a replacement needs one file")
            if path.exists():
                return spelling
        except (OSError, RuntimeError):  # an endless link, an unknown user: opening it will say so
            return text
    return text
