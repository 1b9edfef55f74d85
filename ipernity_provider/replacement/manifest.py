"""A manifest: which documents are to get which files, as a CSV or JSON file or as a list.

>>> read_text(Path("boats.csv").read_bytes(), kind_of("boats.csv"), "boats.csv")
[Line(doc_id='5412', file='boat.jpg', filename=None, where='line 2')]

Nothing is sent by a manifest with a mistake in it, so all of its mistakes are told at once.
"""

from __future__ import annotations

import csv
import io
import json
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, Self

from ipernity_provider.api.doc_id import read_doc_id
from ipernity_provider.replacement.order import Refused

Kind = Literal["csv", "json", "jsonl"]

_KINDS: dict[str, Kind] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_REQUIRED = ("doc_id", "file")
_COLUMNS = (*_REQUIRED, "filename")
_SHOWN = 20
_END_OF_LINE = re.compile(rb"\r\n|\r|\n")

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


@dataclass(frozen=True)
class Line:
    """One replacement of a manifest.

    :param file: path or URI of the new file, as it was written.
    :param filename: the name that the service is told; None for the file's own.
    :param where: the place in the manifest: ``line 17`` of a CSV or JSON Lines file (the first of those that a quoted
        field spans), ``item 3`` of a JSON array or a list, counted from 1.
    """

    doc_id: str
    file: str
    filename: str | None
    where: str


class ManifestError(Refused):
    """A manifest has mistakes, and none of it was sent; its text shows the first 20 of them, a line each.

    :ivar errors: all of them, each with its place.
    """

    errors: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, errors: Sequence[str]) -> Self:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        more = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        error = cls("\n".join([f"{name} has {count}:", *errors[:_SHOWN], *more, "Nothing was sent."]))
        error.errors = list(errors)
        return error


def kind_of(name: str) -> Kind:
    """How a manifest of this file name (or path, or URI) is written.

    :raises Refused: its ending is none of those of a manifest.
    """
    if kind := _KINDS.get(PurePosixPath(name).suffix.lower()):
        return kind
    endings = ", ".join(_KINDS)
    raise Refused(
        f"{name}: the kind of a manifest is told by its ending, one of {endings}. Nothing was sent."
    )


Place = Callable[[str], str]
"""Makes the path or URI to open of what stands in a row; what it raises as ValueError is told with the row's place."""


def read_text(
    data: bytes, kind: Kind, name: str, place: Place = str, base_url: str | None = None
) -> list[Line]:
    """The replacements of a manifest file.

    ``csv``: a header line names the columns ``doc_id``, ``file`` and perhaps ``filename``, parted by commas or
    semicolons; other columns are ignored. ``json``: an array of what ``jsonl`` has a line each of: objects with these
    members, or pairs ``[doc_id, file]``. The encoding is UTF-8, with or without a byte order mark.

    :param name: of the manifest, for the sentence.
    :param base_url: see :func:`~ipernity_provider.api.doc_id.read_doc_id`.
    :raises ManifestError: with all that is wrong.
    """
    reading = _Reading(place, base_url)
    _TAKE[kind](reading, data.removeprefix(b"\xef\xbb\xbf"))
    return reading.result(name)


def read_manifest(
    given: object, name: str = "The manifest", place: Place = str, base_url: str | None = None
) -> list[Line]:
    """The replacements of a list: of dicts with ``doc_id``, ``file`` and perhaps ``filename``, or of pairs.

    :param given: such as a task has returned.
    :param name: of the manifest, for the sentence.
    :param base_url: see :func:`~ipernity_provider.api.doc_id.read_doc_id`.
    :raises ManifestError: with all that is wrong.
    """
    reading = _Reading(place, base_url)
    reading.take_items(given)
    return reading.result(name)


class _Reading:
    """What has been read so far: good lines, and errors."""

    def __init__(self, place: Place, base_url: str | None) -> None:
        self._place = place
        self._base_url = base_url
        self._lines: dict[str, Line] = {}
        self._errors: list[str] = []

    def result(self, name: str) -> list[Line]:
        if not self._lines and not self._errors:
            self.wrong("there is no document in it")
        if self._errors:
            raise ManifestError.of(name, self._errors)
        return list(self._lines.values())

    def wrong(self, what: str) -> None:
        self._errors.append(what)

    def take_items(self, items: object) -> None:
        if not isinstance(items, Sequence) or isinstance(items, str | bytes):
            self.wrong(f"{_brief.repr(items)} is no list: give a list of objects with doc_id and file")
            return
        for number, item in enumerate(items, 1):
            self.take_item(f"item {number}", item)

    def take_item(self, where: str, item: object) -> None:
        if isinstance(item, Mapping):
            self.take(where, *(item.get(column) for column in _COLUMNS))
        elif isinstance(item, list | tuple) and len(item) == len(_REQUIRED):
            self.take(where, *item)
        else:
            self.wrong(f"{where}: {_brief.repr(item)} is neither an object with doc_id and file nor a pair")

    def take(self, where: str, doc_id: object, file: object, filename: object = None) -> None:
        before = len(self._errors)
        line = Line(
            self._doc_id(where, doc_id),
            self._file(where, file),
            self._text(where, "filename", filename) or None,
            where,
        )
        if len(self._errors) == before:
            self._keep(line)

    def _doc_id(self, where: str, given: object) -> str:
        try:
            return read_doc_id(given, self._base_url)
        except ValueError as error:
            self.wrong(f"{where}: doc_id {error}")
            return ""

    def _file(self, where: str, given: object) -> str:
        # A task may return what can be opened: its text is the path or URI.
        text = self._required(where, "file", str(given) if hasattr(given, "open") else given)
        try:
            return self._place(text) if text else ""
        except ValueError as error:
            self.wrong(f"{where}: {error}")
            return text

    def _required(self, where: str, column: str, given: object) -> str:
        text = self._text(where, column, given)
        if given is None or (isinstance(given, str) and not text):
            self.wrong(f"{where}: {column} is missing")
        return text

    def _text(self, where: str, column: str, given: object) -> str:
        if given is None:
            return ""
        if isinstance(given, int) and not isinstance(
            given, bool
        ):  # a template or a spreadsheet made one of a name
            return str(given)
        if not isinstance(given, str):
            self.wrong(f"{where}: {column} is {_brief.repr(given)}, which is no text")
            return ""
        if not _can_be_written(given):
            self.wrong(f"{where}: {column} is {_brief.repr(given)}, with characters that are no text")
        return given.strip()

    def _keep(self, line: Line) -> None:
        first = self._lines.setdefault(line.doc_id, line)
        if first is line:
            return
        if first.file == line.file:
            self.wrong(f"{line.where}: document {line.doc_id} is listed twice, first at {first.where}")
        else:
            self.wrong(
                f"{line.where}: document {line.doc_id} is to get {_brief.repr(line.file)}, but at {first.where} "
                f"{_brief.repr(first.file)}"
            )


def _can_be_written(text: str) -> bool:
    """JSON can spell halves of characters, and a folder of another encoding hold names of them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# -- CSV -------------------------------------------------------------------------------------------------------------


def _take_csv(reading: _Reading, data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        reading.wrong(f"line {_line_of(bad)}: {_not_utf8(bad)}")
        # The other lines are judged all the same. Each bad byte is spelt out: two such names must not pass for one.
        text = data.decode(errors="backslashreplace")
    rows = _rows(reading, text)
    where, header = next(rows, ("line 1", []))
    if not _has_columns(reading, where, header):
        return
    # A row may be shorter than its header.
    places = [header.index(column) if column in header else len(header) for column in _COLUMNS]
    for where, cells in rows:
        if any(cells[len(header) :]):
            reading.wrong(
                f"{where}: {len(cells)} fields instead of {len(header)}: a field that holds a comma, a semicolon or quotes "
                "must be quoted"
            )
        else:
            reading.take(where, *(cells[place] if place < len(cells) else None for place in places))


def _rows(reading: _Reading, text: str) -> Iterator[tuple[str, list[str]]]:
    """The rows that are not blank, each with the line it begins in."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=_delimiter(text), skipinitialspace=True, strict=True)
    begins = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield f"line {begins}", cells
            begins = reader.line_num + 1
    except csv.Error as error:
        wrong = "a quoted field does not end as it should"
        if "field limit" in str(error):
            wrong = "a field is far too long; perhaps this is no CSV"
        reading.wrong(f"line {begins}: {wrong} ({error}); what follows was not read")


def _delimiter(text: str) -> str:
    """Comma or semicolon: whichever finds more of the columns in the header line."""
    header = next((line for line in io.StringIO(text, newline="") if line.strip()), "")

    def columns(delimiter: str) -> int:
        try:
            cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error:  # told when the line is read in earnest
            return 0
        return len({cell.strip() for cell in cells}.intersection(_COLUMNS))

    return max(",;", key=columns)


def _has_columns(reading: _Reading, where: str, header: Sequence[str]) -> bool:
    missing = [column for column in _REQUIRED if column not in header]
    twice = [column for column in _COLUMNS if header.count(column) > 1]
    if missing:
        reading.wrong(f"{where}: the header line names no column {' and no column '.join(missing)}")
    if twice:
        reading.wrong(f"{where}: the header line names the column {' and the column '.join(twice)} twice")
    return not missing and not twice


# -- JSON ------------------------------------------------------------------------------------------------------------


def _take_json(reading: _Reading, data: bytes) -> None:
    try:
        items = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        reading.wrong(_not_json(error))
    else:
        reading.take_items(items)


def _take_jsonl(reading: _Reading, data: bytes) -> None:
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            reading.wrong(_not_json(error, lines_before=number - 1))
        else:
            reading.take_item(f"line {number}", item)


def _not_json(error: Exception, lines_before: int = 0) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {lines_before + error.lineno}, column {error.colno}: this is no JSON: {error.msg}"
    if isinstance(error, UnicodeDecodeError):
        return f"line {lines_before + _line_of(error)}: {_not_utf8(error)}"
    return f"from line {lines_before + 1}: a number is too long to be read, or brackets are nested too deep"


def _line_of(bad: UnicodeDecodeError) -> int:
    return len(_END_OF_LINE.findall(bad.object[: bad.start])) + 1


def _not_utf8(bad: UnicodeDecodeError) -> str:
    return f"byte 0x{bad.object[bad.start]:02x} is not UTF-8: save the manifest in that encoding"


_TAKE: dict[Kind, Callable[[_Reading, bytes], None]] = {
    "csv": _take_csv,
    "json": _take_json,
    "jsonl": _take_jsonl,
}
