"""Progress bars: on stderr, and only where a person looks at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int | None], None]
"""Called with what is done and with the total, if it is known."""


@contextmanager
def progress_bar(
    label: str, *, in_bytes: bool = False, then: str = "", hidden: bool = False
) -> Iterator[Advance]:
    """Show a bar while the block runs; it disappears at its end.

    :param in_bytes: the numbers are bytes: show MB and the speed.
    :param then: the label once all is done, if the block goes on.
    :param hidden: show none, because the block prints to the same terminal.
    """
    if hidden or not sys.stderr.isatty():
        yield lambda _done, _total: None  # a disabled bar of rich 13 prints an empty line
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    numbers: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if in_bytes else [MofNCompleteColumn()]
    )
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *numbers,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # what is printed there may go to a file
        redirect_stderr=False,
    ) as progress:
        bar = progress.add_task(label, total=None)

        def advance(done: int, total: int | None) -> None:
            shown = then if then and done == total else label
            progress.update(bar, completed=done, total=total, description=shown)

        yield advance
