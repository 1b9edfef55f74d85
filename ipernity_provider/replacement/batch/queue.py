"""What is still to be sent of a batch: in which order, within which volume, and when."""

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


class Lead:
    """Whether the others may follow.

    One upload goes ahead and comes back before others are sent, and what an earlier try has sent is looked at before that:
    a service that makes new documents is to be noticed at the first one.
    """

    def __init__(self, under_way: Iterable[str]) -> None:
        self._unseen = set(under_way)
        self._ahead: str | None = None
        self._trusted = False

    @property
    def may_send(self) -> bool:
        return not self._unseen and (self._trusted or self._ahead is None)

    def sent(self, doc_id: str) -> None:
        self._ahead = self._ahead or doc_id

    def seen(self, doc_id: str) -> None:
        """The service has been asked, and is not done with it."""
        self._unseen.discard(doc_id)

    def came_back(self, doc_id: str, *, replaced: bool = False) -> None:
        """Its end is known."""
        self._unseen.discard(doc_id)
        self._trusted = self._trusted or replaced
        if self._ahead == doc_id:
            self._ahead = None
