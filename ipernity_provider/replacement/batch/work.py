"""The two long steps of an item's life, as they run in the threads of a batch: begin and complete."""

from __future__ import annotations

import threading

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.models import Ticket
from ipernity_provider.replacement.batch.item import Item
from ipernity_provider.replacement.batch.journal import ItemJournal, Items
from ipernity_provider.replacement.batch.order import BatchOrder
from ipernity_provider.replacement.batch.plan import BatchPlan, source_known
from ipernity_provider.replacement.fingerprint import fingerprint
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.life import begin, complete
from ipernity_provider.replacement.order import Result
from ipernity_provider.replacement.progress import ProgressLog
from ipernity_provider.replacement.send import Stoppable


class Work:
    """Carries single items on.

    :param given_up: once it is set, uploads break off before their last byte, and none begins.
    """

    def __init__(
        self,
        client: IpernityClient,
        order: BatchOrder,
        items: Items,
        plan: BatchPlan,
        given_up: threading.Event,
    ) -> None:
        self._client = client
        self._order = order
        self._items = items
        self._twins = plan.twins
        self._given_up = given_up

    def begin(self, item: Item) -> Result | Entry:
        """Send the item's file, unless that proves unnecessary."""
        path = self._order.open_path(item.file)
        journal = self._journal(item.doc_id)
        source = source_known(self._order, item, path, fingerprint(path))
        twins = self._twins.get(item.md5) if source else None
        order = self._order.order_for(item, path)
        progress = Stoppable(ProgressLog(path.name), self._given_up)
        return begin(self._client, order, journal, progress, source=source, twins=twins)

    def complete(self, doc_id: str, ticket: Ticket | None) -> Result:
        """Prove what was sent."""
        entry = self._items[doc_id].entry
        assert entry is not None  # noqa: S101 - what is proven was sent
        return complete(
            self._client, self._order, self._journal(doc_id), entry, ticket, log_result=_result_line
        )

    def _journal(self, doc_id: str) -> ItemJournal:
        return ItemJournal(self._items, doc_id, self._given_up)


def _result_line(entry: Entry, result: Result) -> list[str]:
    """One line: a batch has many documents, and its report says the rest."""
    where = f"new document {result.new_doc_id}" if result.new_doc_id else "replaced"
    return [f"Document {entry.doc_id}: {where}, proof {result.verified_by or 'none'}."]
