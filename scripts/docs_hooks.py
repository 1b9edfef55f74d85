"""What `make docs` writes into the pages while it builds them.

These are the tables of error codes, names as links, and the head of each cell of a table, which
stands above the cell where a screen is narrow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import Element  # nosec B405  # Markdown's own tree, nothing is parsed

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

from ipernity_provider.api.errors import COMMON_CODES, METHOD_CODES, CodeMeaning, api_error
from ipernity_provider.operators.retries import PatientRetryPolicy
from ipernity_provider.sandbox.catalog import FORMATS, METHODS, Requirements
from ipernity_provider.sandbox.parameters import PARAMETERS

# Sphinx's way to name a class or a function in a docstring, as Markdown shows it.
_ROLE = re.compile(r":[a-z]+:<code>(~?)([\w.]+)</code>")


def common_codes() -> str:
    """The codes that mean the same everywhere."""
    return _table(
        ("Code", "Title and exception", "Tried again", "What to do"),
        ((f"`{code}`", *_cells("", code, meaning)) for code, meaning in COMMON_CODES.items()),
    )


def method_codes() -> str:
    """The codes that belong to one method each."""
    return _table(
        ("Method", "Code", "Title and exception", "Tried again", "What to do"),
        (
            (f"`{method}`", f"`{code}`", *_cells(method, code, meaning))
            for method, meanings in METHOD_CODES.items()
            for code, meaning in meanings.items()
        ),
    )


def sandbox_methods() -> str:
    """The methods that the sandbox has, and what becomes of their parameters."""
    return _table(
        ("Method", "Requires", "Applied", "Refused"),
        (
            (
                f"`{name}`",
                _requires(METHODS[name].requires),
                _names(known.applied),
                _names(known.refused) if known.documented else "every other one",
            )
            for name, known in PARAMETERS.items()
        ),
    )


def sandbox_lacks() -> str:
    """The methods of the service that the sandbox does not have."""
    return _names(name for name in METHODS if name not in PARAMETERS)


def sandbox_formats() -> str:
    """The formats of the sandbox's replies."""
    return _table(("Format", "What"), ((f"`{name}`", what) for name, what in FORMATS.items()))


def _requires(requires: Requirements) -> str:
    right = f"{requires.area}: {requires.level}" if requires.area else ""
    if requires.token:
        parts = ["POST" if requires.verb == "POST" else "", "token", right]
    else:
        private = right and f"{right} for what is private"
        parts = ["signature" if requires.sign else "", private]
        parts.append("GET" if requires.verb == "GET" else "")
    return ", ".join(filter(None, parts)) or "nothing"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


#: What a page holds where a table is to stand.
MARKS: dict[str, Callable[[], str]] = {
    "<!-- common codes -->": common_codes,
    "<!-- method codes -->": method_codes,
    "<!-- sandbox formats -->": sandbox_formats,
    "<!-- sandbox lacks -->": sandbox_lacks,
    "<!-- sandbox methods -->": sandbox_methods,
}


class _HeadOfEachCell(Treeprocessor, Extension):
    """Gives the cells of a table the words above their column, as ``data-head``."""

    def __init__(self) -> None:
        Extension.__init__(self)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Markdown's own name
        md.treeprocessors.register(self, "head_of_each_cell", 0)

    def run(self, root: Element) -> None:
        for table in root.iter("table"):
            heads = ["".join(head.itertext()) for head in table.iter("th")]
            for row in table.iter("tr"):
                for head, cell in zip(heads, row.iterfind("td"), strict=False):
                    cell.set("data-head", head)


def on_config(config: Any, **_: Any) -> None:
    """Called by MkDocs with its configuration."""
    config.markdown_extensions.append(_HeadOfEachCell())


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs with the text of each page."""
    for mark, table in MARKS.items():
        if mark in markdown:
            markdown = markdown.replace(mark, table())
    return markdown


def on_page_content(html: str, **_: Any) -> str:
    """Make a name in a docstring a link, where a page describes it.

    MkDocs calls this with each page as HTML.
    """

    def link(role: re.Match[str]) -> str:
        short, name = role.groups()
        shown = name.rpartition(".")[2] if short else name
        return f'<autoref identifier="{name}" optional><code>{shown}</code></autoref>'

    return _ROLE.sub(link, html)


def _cells(method: str, code: int, meaning: CodeMeaning) -> tuple[str, ...]:
    exception = f"[`{meaning.error.__name__}`][{_path(meaning.error)}]"
    return f"{meaning.title}<br>{exception}", _tried_again(method, code), meaning.advice


def _path(error: type[Exception]) -> str:
    return f"{error.__module__}.{error.__qualname__}"


def _tried_again(method: str, code: int) -> str:
    """What becomes of a task that meets this code."""
    error = api_error(method, code)
    if error.kind == "credential":
        return "no: a person has to act"
    if error.kind == "permanent":
        return "no"
    wait = PatientRetryPolicy().evaluate(error, try_number=1, max_tries=1).retry_delay
    if wait:
        return f"yes, first after {_in_words(wait)}"
    return "yes; an upload only after asking whether it arrived" if error.maybe_accepted else "yes"


def _in_words(wait: timedelta) -> str:
    minutes = int(wait.total_seconds()) // 60
    return f"{minutes} min" if minutes % 60 else f"{minutes // 60} h"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
