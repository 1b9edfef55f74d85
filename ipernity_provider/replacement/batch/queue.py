"""The items of a batch that are still to be sent, within the volume that is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ipernity_provider.api.storage import shown
from ipernity_provider.replacement.batch.item import Item


class SendQueue:
    """Gives out one item after the other, for as long as the volume lasts.

    :param left_bytes: of this month's upload volume; None where nobody knows.
    """

    def __init__(self, items: Iterable[Item], left_bytes: int | None) -> None:
        self._items = deque(items)
        self._left_bytes = left_bytes

    def __len__(self) -> int:
        return len(self._items)

    def shortage(self) -> str:
        """Why the next one cannot be sent; empty if it can."""
        item = self._items[0]
        if self._left_bytes is None or item.volume <= self._left_bytes:
            return ""
        return f"of this month's upload volume {self._left_bytes} bytes are left, {shown(item.file)} has {item.bytes}"

    def take(self) -> Item:
        item = self._items.popleft()
        self._spend(item.volume)
        return item

    def give_back(self, item: Item) -> None:
        """It was not sent, and is not to be."""
        self._spend(-item.volume)

    def put_back(self, item: Item, now: Item) -> None:
        """It was not sent, as far as is known, and is to be after the others.

        :param now: the same item, with what was learnt of it.
        """
        self.give_back(item)
        self._items.append(now)

    def drain(self) -> list[Item]:
        items = list(self._items)
        self._items.clear()
        return items

    def _spend(self, count: int) -> None:
        if self._left_bytes is not None:
            self._left_bytes -= count
