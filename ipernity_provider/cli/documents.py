"""``documents``: list the account's documents, or propose which local file belongs to which."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ipernity_provider.api.models import Document
from ipernity_provider.bulk.matching import Matching, Pair, Unpaired, match, needs_checksum
from ipernity_provider.cli import metastore
from ipernity_provider.cli.errors import CommandFailed, exit_on_error
from ipernity_provider.cli.progress import progress_bar
from ipernity_provider.cli.rows import print_csv, print_json, print_table, to_json, use_utf8
from ipernity_provider.cli.terminal import say
from ipernity_provider.files.errors import FileError
from ipernity_provider.files.folder import (
    LocalFile,
    can_read_capture_times,
    capture_time_of,
    checksum_of,
    scan_folder,
)
from ipernity_provider.text import display, summarize

COLUMNS = ("doc_id", "title", "filename", "md5", "bytes", "replaced_at", "url")
#: ``old_filename``, because ``filename`` in a manifest is the name that the service gets.
PAIR_COLUMNS = (
    "doc_id",
    "file",
    "reason",
    "title",
    "old_filename",
    "md5",
    "bytes",
    "replaced_at",
    "url",
)
_TABLE = {"doc_id": 12, "title": 0, "filename": 0, "bytes": 11, "replaced_at": 20}
_PAIR_TABLE = {"doc_id": 12, "title": 0, "old_filename": 0, "reason": 26}


@exit_on_error()
def documents(options: Namespace) -> None:
    """List documents, or propose pairs; exit with 2 if the connection is not valid."""
    hook = metastore.connected_hook(options.conn_id)
    filters = {name: getattr(options, name) for name in ("album", "text", "since", "media")}
    kind, total = options.output, 0

    def count(received: int, of: int | None) -> None:
        nonlocal total
        total = max(received, of or 0)
        advance(received, of)

    rows_on_terminal = not options.match and sys.stdout.isatty()
    with progress_bar("Documents", hidden=rows_on_terminal) as advance:
        found = hook.list_documents(**filters, on_page=count)
        if not options.match:
            shown = _print_documents(found, kind)
        else:
            kept = list(found)
            shown = len(kept)
    if shown < total:
        say(f"The service lists {total} documents, but showed {shown}: the list is not complete.")
    if options.match:
        _print_matching(_match(kept, Path(options.match).expanduser()), kind)


def _print_documents(found: Iterator[Document], kind: str) -> int:
    """Print documents as they come; return their number."""
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for count, document in enumerate(found, 1):  # noqa: B007 - it is returned
            yield _as_row(document)

    if kind == "csv":
        print_csv(COLUMNS, rows())
    elif kind == "json":
        print_json(rows())
    else:
        print_table(_TABLE, rows(), last="url")
    return count


def _as_row(document: Document) -> dict[str, Any]:
    return {
        "doc_id": document.doc_id,
        "title": document.title,
        "filename": document.filename,
        "md5": document.md5,
        "bytes": document.bytes,
        "replaced_at": _as_time(document.replaced_at) if document.replaced_at else None,
        "url": document.link,
    }


def _as_time(seconds: int) -> str:
    """Return unix seconds as a time in UTC; as they are where no calendar has them."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(seconds)


# -- pairs -----------------------------------------------------------------------------------------


def _match(found: list[Document], folder: Path) -> Matching:
    """Return the pairs of documents and the files of a folder.

    Only files that can have a document's bytes are read, and of photos the head.
    """
    by_time = any(document.created for document in found)
    if by_time and not can_read_capture_times():
        say(
            "Capture times are not compared, because Pillow is not installed:"
            " pip install 'airflow-provider-ipernity[exif]'."
        )
        by_time = False
    is_needed = needs_checksum(found)
    try:
        files = list(scan_folder(folder))
        with progress_bar("Files") as advance:
            for number, file in enumerate(files):
                files[number] = _inspected(file, by_time, checksum=is_needed(file.size))
                advance(number + 1, len(files))
    except FileError as error:
        raise CommandFailed(f"{error} No pairs were proposed.") from None
    return match(found, files)


def _inspected(file: LocalFile, by_time: bool, *, checksum: bool) -> LocalFile:
    return replace(
        file,
        md5=checksum_of(file.path) if checksum else None,
        captured=capture_time_of(file.path) if by_time and file.media == "photo" else None,
    )


def _print_matching(found: Matching, kind: str) -> None:
    """Print the pairs, and on stderr what has no partner; JSON contains both."""
    writable = [pair for pair in found.pairs if _fits_manifest(pair.file.path)]
    unwritable = [
        Unpaired(
            pair.file,
            f"{display(pair.file.path)} has a path that a manifest cannot contain; rename it",
            ambiguous=True,
        )
        for pair in found.pairs
        if not _fits_manifest(pair.file.path)
    ]
    pairs = [_pair_row(pair) for pair in writable]
    left = [*found.documents, *found.files, *unwritable]
    if kind == "csv":
        print_csv(PAIR_COLUMNS, pairs)
    elif kind == "json":
        use_utf8()
        print(to_json({"pairs": pairs, "unpaired": [_left_row(one) for one in left]}))
    else:
        print_table(_PAIR_TABLE, pairs, last="file")
    say(
        f"{_count(len(pairs), 'pair')}. Without a partner:"
        f" {_count(len(found.documents), 'document')},"
        f" {_count(len(found.files) + len(unwritable), 'file')}."
    )
    if reasons := dict.fromkeys(f"  {one.reason}" for one in left if one.ambiguous):
        say("Not paired, because it needs a decision of yours:")
        say(summarize(reasons, "\n"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _fits_manifest(path: Path) -> bool:
    """Return whether a manifest keeps a path as it is."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return text == text.strip() and "://" not in text and "\r" not in text and "\0" not in text


def _pair_row(pair: Pair) -> dict[str, Any]:
    row = _as_row(pair.document)
    row["old_filename"] = row.pop("filename")
    return {**row, "file": str(pair.file.path), "reason": pair.reason}


def _left_row(left: Unpaired) -> dict[str, Any]:
    row = dict.fromkeys(PAIR_COLUMNS)
    if isinstance(left.item, Document):
        row |= _as_row(left.item)
        row["old_filename"] = row.pop("filename")
    else:
        row["file"] = str(left.item.path)
    return {**row, "reason": left.reason, "ambiguous": left.ambiguous}
