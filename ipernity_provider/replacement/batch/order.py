"""What is asked of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from ipernity_provider.api.multipart import FilePath
from ipernity_provider.replacement.batch.item import Item
from ipernity_provider.replacement.order import Order, Refused, Terms

OnError = Literal["stop", "continue"]


@dataclass(frozen=True, kw_only=True)
class BatchOrder(Terms):
    """What is asked of all items.

    :param open_path: makes a path of what a manifest names.
    :param on_error: ``stop`` sends nothing more after the first item that cannot be replaced, and nothing at all if the
        plan finds one; ``continue`` goes on with the others.
    :param max_parallel_uploads: how many files are sent at the same time.
    """

    open_path: Callable[[str], FilePath]
    on_error: OnError = "stop"
    max_parallel_uploads: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.on_error not in get_args(OnError):
            raise Refused(f"on_error is {self.on_error!r}: choose 'stop' or 'continue'. Nothing was sent.")
        if self.if_unchanged == "skip":
            raise Refused(
                "if_unchanged is 'skip', which only a single file knows: choose 'succeed' or 'replace'. Nothing was sent."
            )
        if not 1 <= self.max_parallel_uploads <= 16:
            raise Refused(
                f"max_parallel_uploads is {self.max_parallel_uploads}: choose 1 to 16. Nothing was sent."
            )

    def order_for(self, item: Item, path: FilePath) -> Order:
        """The order for one item; rights and volume are looked at once for all."""
        terms: dict[str, Any] = {term.name: getattr(self, term.name) for term in fields(Terms)}
        terms["check_account"] = False
        return Order(doc_id=item.doc_id, file=path, filename=item.filename, **terms)
