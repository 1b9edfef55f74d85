"""A manifest: which documents get which files, as a CSV or JSON file or as a list.

Nothing is sent of a manifest that has an error, so all of its errors are reported together.
"""

from __future__ import annotations

import csv
import io
import json
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal, Self

from ipernity_provider.api.models import read_doc_id
from ipernity_provider.replacement.errors import Refused

Kind = Literal["csv", "json", "jsonl"]

_KINDS: dict[str, Kind] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_REQUIRED = ("doc_id", "file")
_COLUMNS = (*_REQUIRED, "filename")
_SHOWN = 20
_LONGEST_SHOWN_CHAIN = 6
_END_OF_LINE = re.compile(rb"\r\n|\r|\n")
#: Spreadsheets write it before the header, and read it themselves.
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n|\Z)')

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60
_brief.maxlist = 8


@dataclass(frozen=True)
class ManifestLine:
    """One replacement of a manifest.

    :param file: path or URI of the new file.
    :param filename: the name that the service gets; None for the file's own.
    :param where: the place in the manifest: ``line 17`` of a CSV or JSON Lines file (the first of
        those that a quoted field spans), ``item 3`` of a JSON array or a list, counted from 1.
    """

    doc_id: str
    file: str
    filename: str | None
    where: str


class ManifestError(Refused):
    """A manifest has errors, and nothing of it was sent.

    The text shows the first 20 errors, a line each.

    :ivar errors: all of them, each with its place.
    """

    errors: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, errors: Sequence[str]) -> Self:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        more = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        error = cls(
            "\n".join([f"{name} has {count}:", *errors[:_SHOWN], *more, "Nothing was sent."])
        )
        error.errors = list(errors)
        return error


def kind_of(name: str) -> Kind:
    """Return how a manifest of this file name (or path, or URI) is written.

    :raises Refused: its ending is none of those of a manifest.
    """
    if kind := _KINDS.get(PurePosixPath(name).suffix.lower()):
        return kind
    raise Refused(f"{name}: a manifest must end in one of {', '.join(_KINDS)}. Nothing was sent.")


def require_different_targets(
    lines: Iterable[ManifestLine], chain_of: Callable[[str], Sequence[str]]
) -> None:
    """Require that no two documents of a manifest have become one.

    :param chain_of: returns a document, the one that has taken its place, and so on to the last.
    :raises ManifestError: with all lines that lead to the document of another one.
    """
    first: dict[str, tuple[ManifestLine, Sequence[str]]] = {}
    errors = []
    for line in lines:
        chain = chain_of(line.doc_id)
        before, other = first.setdefault(chain[-1], (line, chain))
        if before is line:
            continue
        ways = " and ".join(_show_chain(one) for one in (other, chain) if len(one) > 1)
        errors.append(
            f"{line.where}: document {line.doc_id} and document {before.doc_id}, at {before.where},"
            f" are one by now: {ways}; keep one of the two lines"
        )
    if errors:
        raise ManifestError.of("The manifest", errors)


def _show_chain(chain: Sequence[str]) -> str:
    shown = chain if len(chain) <= _LONGEST_SHOWN_CHAIN else (*chain[:3], "...", *chain[-2:])
    return " -> ".join(shown)


Locate = Callable[[str], str]
"""Returns the path or URI to open for the file that a row names.

A ValueError that it raises is reported with the row's place.
"""


def read_text(
    data: bytes, kind: Kind, name: str, locate: Locate = str, base_url: str | None = None
) -> list[ManifestLine]:
    """Read the replacements of a manifest file.

    ``csv``: a header line names the columns ``doc_id``, ``file`` and perhaps ``filename``,
    separated by commas, semicolons or tabs; other columns are ignored. ``json``: an array of what
    ``jsonl`` has a line each of: objects with these members, or pairs ``[doc_id, file]``. The
    encoding is UTF-8, with or without a byte order mark.

    :param name: of the manifest, for the sentence.
    :param base_url: see :func:`~ipernity_provider.api.models.read_doc_id`.
    :raises ManifestError: with all that is wrong.
    """
    reader = _Reader(locate, base_url)
    {"csv": _read_csv, "json": _read_json, "jsonl": _read_jsonl}[kind](
        reader, data.removeprefix(b"\xef\xbb\xbf")
    )
    return reader.result(name)


def read_list(
    given: object, name: str = "The manifest", locate: Locate = str, base_url: str | None = None
) -> list[ManifestLine]:
    """Read the replacements of a list.

    Its items are dicts with ``doc_id``, ``file`` and perhaps ``filename``, or pairs.

    :param given: such as a task has returned.
    :param name: of the manifest, for the sentence.
    :param base_url: see :func:`~ipernity_provider.api.models.read_doc_id`.
    :raises ManifestError: with all that is wrong.
    """
    reader = _Reader(locate, base_url)
    reader.add_items(given)
    return reader.result(name)


@dataclass
class _Reader:
    """What has been read so far: lines, and errors."""

    locate: Locate
    base_url: str | None
    lines: dict[str, ManifestLine] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def result(self, name: str) -> list[ManifestLine]:
        if not self.lines and not self.errors:
            self.errors.append("it lists no document")
        if self.errors:
            raise ManifestError.of(name, self.errors)
        return list(self.lines.values())

    def add_items(self, items: object) -> None:
        if not isinstance(items, Sequence) or isinstance(items, str | bytes):
            self.errors.append(
                f"{_brief.repr(items)} is not a list: give a list of objects with doc_id and file"
            )
            return
        for number, item in enumerate(items, 1):
            self.add_item(f"item {number}", item)

    def add_item(self, where: str, item: object) -> None:
        if isinstance(item, Mapping):
            self.add(where, *(item.get(column) for column in _COLUMNS))
        elif isinstance(item, list | tuple) and len(item) == len(_REQUIRED):
            self.add(where, *item)
        else:
            self.errors.append(
                f"{where}: {_brief.repr(item)} is neither an object with doc_id and file nor a pair"
            )

    def add(self, where: str, doc_id: object, file: object, filename: object = None) -> None:
        """Take in a line, or report what is wrong with it."""
        errors: list[str] = []
        document = ""
        try:
            document = read_doc_id(doc_id, self.base_url)
        except ValueError as error:
            errors.append(f"doc_id {error}")
        # A task may return what can be opened: its text is the path or URI.
        path = _read_cell(
            errors, "file", str(file) if hasattr(file, "open") else file, required=True
        )
        try:
            path = self.locate(path) if path else path
        except ValueError as error:
            errors.append(str(error))
        name = _read_cell(errors, "filename", filename) or None
        first = self.lines.get(document)
        if first and first.file == path and not errors:
            errors.append(f"document {document} is listed twice, first at {first.where}")
        elif first and not errors:
            at_first = f"at {first.where} {_brief.repr(first.file)}"
            errors.append(f"document {document} is to get {_brief.repr(path)}, but {at_first}")
        if errors:
            self.errors += [f"{where}: {error}" for error in errors]
        else:
            self.lines[document] = ManifestLine(document, path, name, where)


def _read_cell(errors: list[str], column: str, given: object, *, required: bool = False) -> str:
    if required and (given is None or (isinstance(given, str) and not given.strip())):
        errors.append(f"{column} is missing")
    elif isinstance(given, int) and not isinstance(given, bool):
        return str(given)  # a template or a spreadsheet made a number of a name
    elif given is not None and not isinstance(given, str):
        errors.append(f"{column} is {_brief.repr(given)}, which is not text")
    elif given is not None:
        try:
            given.encode()  # JSON can spell half surrogates, names in another encoding hold them
        except UnicodeEncodeError:
            errors.append(f"{column} is {_brief.repr(given)}, with characters that are not text")
        return given.strip()
    return ""


# -- CSV -------------------------------------------------------------------------------------------


def _read_csv(reader: _Reader, data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        reader.errors.append(_not_utf8(bad))
        # The other lines are read anyway. Each bad byte is spelt out: two such names must not pass
        # for one.
        text = data.decode(errors="backslashreplace")
    rows = _csv_rows(reader, text)
    where, header = next(rows, ("line 1", []))
    if not header and reader.errors:
        return  # it could not be read, which is reported
    missing = [column for column in _REQUIRED if column not in header]
    twice = [column for column in _COLUMNS if header.count(column) > 1]
    if missing:
        read_as = (
            f"the header line was read as {_brief.repr(header)}"
            if header
            else "there is no header line"
        )
        reader.errors.append(
            f"{where}: there is no column {' and no column '.join(missing)}; {read_as}"
        )
    if twice:
        reader.errors.append(f"{where}: the header line names {' and '.join(twice)} twice")
    if missing or twice:
        return
    # A row may be shorter than its header.
    places = [header.index(column) if column in header else len(header) for column in _COLUMNS]
    for where, cells in rows:
        if any(cells[len(header) :]):
            reader.errors.append(
                f"{where}: {len(cells)} fields instead of {len(header)}: a field that holds the"
                " separator or quotes must be quoted"
            )
        else:
            reader.add(where, *(cells[place] if place < len(cells) else None for place in places))


def _csv_rows(reader: _Reader, text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows that are not blank, each with the line it begins in."""
    separator = _SEPARATOR_LINE.match(text)
    lines = io.StringIO(text[separator.end() :] if separator else text, newline="")
    delimiter = separator[1] if separator else _delimiter_of(text)
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    lines_before = 1 if separator else 0
    begins = lines_before + 1
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield f"line {begins}", cells
            begins = lines_before + rows.line_num + 1
    except csv.Error as error:
        wrong = "a quoted field does not end as it should"
        if "field limit" in str(error):
            wrong = "a field is far too long; this may not be a CSV file"
        reader.errors.append(f"line {begins}: {wrong} ({error}); what follows was not read")


def _delimiter_of(text: str) -> str:
    """Return comma, semicolon or tab: whichever finds most of the columns in the header line."""
    header = next((line for line in io.StringIO(text, newline="") if line.strip()), "")

    def columns(delimiter: str) -> int:
        try:
            cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error:  # reported when the line is read
            return 0
        return len({cell.strip() for cell in cells}.intersection(_COLUMNS))

    return max(",;\t", key=columns)


# -- JSON ------------------------------------------------------------------------------------------


def _read_json(reader: _Reader, data: bytes) -> None:
    try:
        items = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        reader.errors.append(_not_json(error))
    else:
        reader.add_items(items)


def _read_jsonl(reader: _Reader, data: bytes) -> None:
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            reader.errors.append(_not_json(error, lines_before=number - 1))
        else:
            reader.add_item(f"line {number}", item)


def _not_json(error: Exception, lines_before: int = 0) -> str:
    if isinstance(error, json.JSONDecodeError):
        return (
            f"line {lines_before + error.lineno}, column {error.colno}: this is not JSON:"
            f" {error.msg}"
        )
    if isinstance(error, UnicodeDecodeError):
        return _not_utf8(error, lines_before)
    return (
        f"from line {lines_before + 1}: a number is too long to be read, or brackets are nested too"
        " deep"
    )


def _not_utf8(bad: UnicodeDecodeError, lines_before: int = 0) -> str:
    line = lines_before + len(_END_OF_LINE.findall(bad.object[: bad.start])) + 1
    return (
        f"line {line}: byte 0x{bad.object[bad.start]:02x} is not UTF-8: save the manifest in that"
        " encoding"
    )
