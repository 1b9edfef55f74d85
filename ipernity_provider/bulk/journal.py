"""The journal of many uploads: all rows of one task, and one of them as its replacement sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ipernity_provider.api.errors import PermanentError
from ipernity_provider.bulk.rows import Row
from ipernity_provider.replacement.record import UploadRecord


class JournalLost(PermanentError):
    """What was known of the rows is deleted in part or in whole."""


@dataclass
class BulkJournal:
    """Keeps the rows in memory, as long as the process lasts.

    Subclasses also keep them safe from crashes.

    Threads change different rows, and each row is changed by one thread at a time.

    :ivar rows: the rows as they are now, by their documents, in the order of the manifest. What is
        only assigned here is not stored.
    :ivar durable: whether another process can go on with them.
    """

    durable: ClassVar[bool] = False

    rows: dict[str, Row] = field(default_factory=dict, init=False)

    def load(self) -> None:
        """Read the rows that were stored.

        :raises JournalLost: less is there than was stored.
        """

    def begin(self, rows: Sequence[Row]) -> None:
        """Keep these rows and no others; from now on this process is the one that writes."""
        self.rows = {row.doc_id: row for row in rows}

    def save(self, *rows: Row) -> None:
        """Keep what has changed of some rows."""
        self.rows |= {row.doc_id: row for row in rows}

    def require_current(self) -> None:
        """Check that no other process has begun meanwhile.

        :raises UploadAborted: one has; this one sends nothing more.
        """


@dataclass
class RowJournal:
    """The journal of one row's replacement."""

    of_all: BulkJournal
    doc_id: str

    def read(self) -> UploadRecord | None:
        """Return the record of the row's upload, if there is one.

        :raises UploadAborted: another process has begun.
        """
        self.of_all.require_current()
        return self.of_all.rows[self.doc_id].record

    def write(self, record: UploadRecord) -> None:
        row = self.of_all.rows[self.doc_id].with_record(record)
        if record.settled:  # saved with the status that follows
            self.of_all.rows[self.doc_id] = row
        else:
            self.of_all.save(row)

    def delete(self) -> None:
        self.of_all.save(replace(self.of_all.rows[self.doc_id], record=None, status="planned"))
