"""How many files are replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ipernity_provider.bulk.scheduler import OnError
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.replacement.request import ReplaceOptions


@dataclass(frozen=True, kw_only=True)
class BulkOptions:
    """How the files of a manifest are replaced.

    :param each: how each of them is.
    :param open_path: makes a path of what a manifest names.
    :param on_error: ``stop`` sends nothing more after the first row that cannot be replaced, and
        nothing at all if that is known before; ``continue`` goes on with the others.
    :param max_parallel_uploads: how many files are sent at the same time.
    """

    each: ReplaceOptions
    open_path: Callable[[str], Any]
    on_error: OnError = "stop"
    max_parallel_uploads: int = 2

    def __post_init__(self) -> None:
        if self.on_error not in {"stop", "continue"}:
            raise Refused(
                f"on_error is {self.on_error!r}; it must be 'stop' or 'continue'. Nothing was sent."
            )
        if self.each.if_unchanged == "skip":
            raise Refused(
                "if_unchanged is 'skip', which a manifest cannot be; use 'succeed' or 'replace'."
                " Nothing was sent."
            )
        if not 1 <= self.max_parallel_uploads <= 16:
            raise Refused(
                f"max_parallel_uploads is {self.max_parallel_uploads}; it must be 1 to 16. Nothing"
                " was sent."
            )
