"""Sentences for people: escaped, and cut into lines that a log shows whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Protocol

#: What fits beside the time and the level in Airflow's log view, 1400 pixels wide.
LINE_LENGTH = 100

_INDENT = "  "
_SHOWN = 10
# What stands in quotes is one word, also with spaces in it; an apostrophe does not open a
# quotation.
_WORD = re.compile(r"""(?:(?<!\w)'[^'\s][^']*'(?!\w)|(?<!\w)"[^"\s][^"]*"(?!\w)|\S)+""")
_END = re.compile(r"""[.!?]['")]*$""")
_ABBREVIATIONS = ("e.g.", "i.e.", "etc.")
_LINE_BREAKS = re.compile("[\t\n\r\v\f\x85\u2028\u2029]+")
# Control characters, the marks that turn the direction of writing, and half surrogates.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return the text on one line, with everything escaped that is not printable.

    Among these are control characters and half surrogates.
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def clean_text(text: str, longest: int = 1000) -> str:
    """Return text from outside as one printable line of at most ``longest`` characters."""
    line = _LINE_BREAKS.sub(" ", text[:longest])
    return _UNPRINTABLE.sub("\ufffd", line).strip()


def without_query(file: object) -> str:
    """Return a path or a name unchanged, and an address without its query.

    The query may be a signature.
    """
    text = str(file)
    return text.partition("?")[0] + "?..." if "://" in text and "?" in text else text


def display(file: object) -> str:
    """Return a path or a name for a sentence: on one line, and without the query of an address."""
    return printable(without_query(file))


def lines_of(text: str, length: int = LINE_LENGTH) -> list[str]:
    """Cut a message into lines, one for each sentence.

    A sentence that is too long is continued on further lines, which are indented.

    A message that has lines already keeps them; those that are too long are continued in the same
    way. A quotation, an address or a path is divided only if it is longer than a line.
    """
    given = [_WORD.findall(line) for line in text.split("\n")]
    parts = given if len(given) > 1 else _sentences(given[0])
    return [line for words in parts for line in _wrap(words, length)]


class Log(Protocol):
    """A logger of Python's or of Airflow's."""

    def log(self, level: int, event: Any, /, *args: Any, **kwargs: Any) -> Any: ...


def log_lines(log: Log, level: int, text: str) -> None:
    """Write a message to the log, a record for each of its lines."""
    for line in lines_of(text):
        log.log(level, "%s", line)


def summarize(items: Iterable[str], separator: str = ", ") -> str:
    """Return the first ten of many items, and how many more there are."""
    all_items = list(items)
    more = len(all_items) - _SHOWN
    rest = f"{separator.strip(',')}and {more} more" if more > 0 else ""
    return separator.join(all_items[:_SHOWN]) + rest


def _sentences(words: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word, following in pairwise([*words, ""]):
        found[-1].append(word)
        ended = _END.search(word) and not word.endswith(_ABBREVIATIONS)
        if ended and following and not following[0].islower():
            found.append([])
    return found


def _wrap(words: list[str], length: int) -> list[str]:
    """Fill lines with words; a line ends behind a comma rather than in the middle of a clause."""
    lines: list[str] = []
    line: list[str] = []
    indent = ""
    left = [printable(word) for word in reversed(words)]
    while left:
        word = left.pop()
        if len(indent + " ".join([*line, word])) <= length:
            line.append(word)
        elif line:
            pauses = [at for at, said in enumerate(line, 1) if said.endswith((",", ";", ":"))]
            end = (
                pauses[-1]
                if pauses and len(" ".join(line[: pauses[-1]])) > length // 2
                else len(line)
            )
            lines.append(indent + " ".join(line[:end]))
            left += [word, *reversed(line[end:])]
            line, indent = [], _INDENT
        elif " " in word:  # a quotation that is too long is words again
            left += reversed(word.split())
        else:
            fits = length - len(indent)
            line = [word[:fits]]
            left.append(word[fits:])
    return [*lines, indent + " ".join(line)] if line else lines
