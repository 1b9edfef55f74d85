"""The life of one replacement, free of Airflow: plan -> send -> settle -> verify.

>>> from ipernity_provider.replacement import Order, replace_file
>>> replace_file(client, Order(doc_id="5412", file=Path("boat.jpg"))).outcome
'replaced'

:mod:`~ipernity_provider.replacement.plan` refuses early, :mod:`~ipernity_provider.replacement.send` sends once and
keeps the journal, :mod:`~ipernity_provider.replacement.settle` waits for the ticket, and
:mod:`~ipernity_provider.replacement.verify` asks whether the document now carries these bytes. The parts stand alone,
so that the wait can be spent elsewhere: in another task, or in no worker at all.
"""

from __future__ import annotations

from ipernity_provider.replacement.journal import Entry, Journal, MemoryJournal
from ipernity_provider.replacement.life import begin, complete, replace_file
from ipernity_provider.replacement.order import Demand, Order, Result
from ipernity_provider.replacement.settle import settle

__all__ = [
    "Demand",
    "Entry",
    "Journal",
    "MemoryJournal",
    "Order",
    "Result",
    "begin",
    "complete",
    "replace_file",
    "settle",
]
