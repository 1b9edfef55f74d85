"""Many replacements in one task: all planned first, sent with bounded concurrency, settled together.

:mod:`~ipernity_provider.replacement.batch.plan` looks at every file and document before the first byte is sent,
:mod:`~ipernity_provider.replacement.batch.run` sends and settles, each item by the life of a single replacement, and
:mod:`~ipernity_provider.replacement.batch.report` tells what became of each. What is known of an item is kept in a
journal as it changes, so that a task which was cut off goes on where it was.
"""

from __future__ import annotations

from ipernity_provider.replacement.batch.item import Item
from ipernity_provider.replacement.batch.journal import BatchJournal, JournalLost, MemoryBatchJournal
from ipernity_provider.replacement.batch.order import BatchOrder
from ipernity_provider.replacement.batch.plan import plan_again, plan_all, require_possible
from ipernity_provider.replacement.batch.report import in_short, require_well, summary_of, write_report
from ipernity_provider.replacement.batch.run import Batch
from ipernity_provider.replacement.batch.waiting import Waiting

__all__ = [
    "Batch",
    "BatchJournal",
    "BatchOrder",
    "Item",
    "JournalLost",
    "MemoryBatchJournal",
    "Waiting",
    "in_short",
    "plan_again",
    "plan_all",
    "require_possible",
    "require_well",
    "summary_of",
    "write_report",
]
