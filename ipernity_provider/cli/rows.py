"""Rows on stdout, each as soon as it is known: as CSV, JSON or a table."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ipernity_provider.text import printable

_UNPRINTABLE = re.compile(r"[^ -~]")
#: What a spreadsheet would calculate.
_FORMULA = ("=", "+", "-", "@")
_NARROWEST = 8


def use_utf8() -> None:
    """Write UTF-8 to stdout whatever the locale says: a manifest is read as such."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a header line and the rows.

    A text that a spreadsheet would calculate gets an apostrophe in front.
    """
    use_utf8()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_csv_cell(row[column]) for column in columns])


def _csv_cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print an array with a row a line."""
    use_utf8()
    separator = "["
    for row in rows:
        print(f"{separator}\n{to_json(row)}", end="")
        separator = ","
    print("\n]" if separator == "," else "[]")


def to_json(value: Any) -> str:
    """Return JSON in which what does not print is escaped; letters of any language stay."""
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(
        lambda odd: odd[0] if odd[0].isprintable() else json.dumps(odd[0])[1:-1], text
    )


def print_table(
    widths: Mapping[str, int], rows: Iterable[Mapping[str, Any]], *, last: str = ""
) -> None:
    """Print a table that fills the terminal.

    A text that is too long for its column is cut.

    :param widths: column -> its width; 0 for the columns that share the rest of the line.
    :param last: a further column that is never cut.
    """
    from rich.cells import set_cell_size

    left = shutil.get_terminal_size((120, 24)).columns - 2 * len(widths) - sum(widths.values())
    shares = list(widths.values()).count(0) + bool(last)
    share = max(_NARROWEST, left // max(1, shares))

    def print_line(cells: Mapping[str, Any]) -> None:
        shown = []
        for column, width in widths.items():
            text = printable("" if cells[column] is None else str(cells[column]))
            cells_wide = width or share
            cut = text if len(text) <= cells_wide else f"{text[: cells_wide - 1]}…"
            shown.append(set_cell_size(cut, cells_wide))
        shown += [printable(str(cells[last] or ""))] if last else []
        print("  ".join(shown).rstrip())

    print_line({column: column for column in (*widths, last)})
    for row in rows:
        print_line(row)
