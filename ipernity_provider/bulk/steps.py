"""What is done with one row, in a thread of its own: inspect, send, prove.

Each is a step of the single replacement.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    CredentialError,
    PermanentError,
    SourceUnreadable,
    TransientError,
)
from ipernity_provider.api.models import Ticket
from ipernity_provider.bulk.journal import BulkJournal, RowJournal
from ipernity_provider.bulk.options import BulkOptions
from ipernity_provider.bulk.rows import Row, file_as_sent
from ipernity_provider.files.checksums import SourceFile, change_marker
from ipernity_provider.replacement.errors import Cancelled
from ipernity_provider.replacement.preflight import Account, Preflight, inspect_source
from ipernity_provider.replacement.progress import ProgressLog
from ipernity_provider.replacement.record import UploadRecord
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.replacement.request import Intent, ReplaceRequest, Result
from ipernity_provider.replacement.schedule import Clock

_SAVED_TOGETHER = 100
_FAILURES_OF_SERVICE = 3


@dataclass(frozen=True)
class Inspected:
    """What was found of a row.

    :param last_error: why it cannot be inspected for now.
    """

    row: Row
    last_error: TransientError | None = None


@dataclass
class RowSteps:
    """Carries single rows on.

    :param account: as loaded once for all.
    """

    client: IpernityClient
    options: BulkOptions
    journal: BulkJournal
    intent: Intent
    cancelled: threading.Event
    clock: Clock
    account: Account | None = None

    def inspect_all(self) -> list[Inspected]:
        """Inspect all rows of the manifest, and save what was found as it comes.

        Thousands of files are not read again if the process dies over them.

        :raises CredentialError: nothing can be replaced with this token.
        :raises TransientError: three documents in a row could not be asked about: it is the
            service.
        """
        found: list[Inspected] = []
        failures = 0
        listed = [row for row in self.journal.rows.values() if row.place == "listed"]
        with ThreadPoolExecutor(self.options.max_parallel_uploads, "ipernity-inspect") as threads:
            try:
                results = threads.map(self.inspect, listed)
                while some := list(islice(results, _SAVED_TOGETHER)):
                    self.journal.save(*(inspected.row for inspected in some))
                    found += some
                    for error in (inspected.last_error for inspected in some):
                        failures = (
                            failures + 1 if error and not isinstance(error, SourceUnreadable) else 0
                        )
                        if error and failures == _FAILURES_OF_SERVICE:
                            raise error
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return found

    def inspect(self, row: Row) -> Inspected:
        """Look at a row's file and document, and decide what is to be done with it.

        :raises CredentialError: nothing can be replaced with this token.
        """
        if self.cancelled.is_set():
            raise Cancelled("The task was ended.")
        if row.status != "planned" and self._has_same_file(row):
            return Inspected(row)
        row = replace(row, status="planned", error="")
        try:
            file, unreadable = self._look_at_file(row)
            row = row if unreadable else row.with_source(file)
            found = self._replacement(row, file).inspect(file)
            if unreadable and isinstance(found, Preflight):
                raise unreadable
        except CredentialError:
            raise
        except TransientError as error:
            return Inspected(row.with_error(error, "not_sent"), error)
        except PermanentError as error:
            return Inspected(row.with_error(error, "refused"))
        if isinstance(found, Result):
            return Inspected(row.with_result(found))
        if isinstance(found, UploadRecord):
            return Inspected(replace(row, status="sent", ticket=found.ticket))
        if found and found.unchanged:
            before = row.md5_before if row.record else found.shown.md5
            return Inspected(replace(row, md5_before=before).with_result(found.result("unchanged")))
        return Inspected(replace(row, md5_before=found.shown.md5, backup=None) if found else row)

    def send(self, doc_id: str) -> Result | UploadRecord:
        """Send a row's file, unless that proves unnecessary.

        :return: the result; or the record of an upload whose ticket is pending.
        """
        row = self.journal.rows[doc_id]
        file, unreadable = self._look_at_file(row)
        replacement = self._replacement(row, file)
        if not unreadable:
            self.journal.rows[doc_id] = row.with_source(file)
            return replacement.start(file)
        if resumed := replacement.resume(file):
            return resumed
        raise unreadable

    def prove(self, doc_id: str, ticket: Ticket | None) -> Result | None:
        """Prove what was sent.

        :return: None if the upload was for an earlier intent, and its file is to be sent.
        """
        row = self.journal.rows[doc_id]
        if row.record is None:
            return None
        return self._replacement(row).finish(row.record, ticket)

    def _replacement(self, row: Row, file: SourceFile | None = None) -> Replacement:
        return Replacement(
            self.client,
            ReplaceRequest(
                doc_id=row.doc_id,
                file=file.source.path if file and file.source else None,
                filename=row.filename,
            ),
            self.options.each,
            RowJournal(self.journal, row.doc_id),
            intent=self.intent,
            progress=ProgressLog(file.name if file else ""),
            cancelled=self.cancelled,
            account=self.account,
            clock=self.clock,
            describe=_in_one_line,
        )

    def _look_at_file(
        self, row: Row
    ) -> tuple[SourceFile, SourceUnreadable | PermanentError | None]:
        """Return the file; if it cannot be read now, as it was when it was sent, and why it cannot.

        :raises SourceUnreadable: it cannot be read for now, and was not sent.
        :raises Refused: it cannot be sent, and was not.
        """
        try:
            request = ReplaceRequest(
                doc_id=row.doc_id, file=self.options.open_path(row.file), filename=row.filename
            )
            return inspect_source(request, self.options.each, row.source), None
        except (SourceUnreadable, PermanentError) as error:
            if sent := file_as_sent(row):
                return sent, error
            raise

    def _has_same_file(self, row: Row) -> bool:
        """Return whether the file of a settled row is still the same.

        What is done does not need its file any more.
        """
        marker = ""
        with suppress(PermanentError):
            marker = change_marker(self.options.open_path(row.file))
        return not marker or row.source is None or marker == row.source.marker


def _in_one_line(record: UploadRecord, result: Result) -> list[str]:
    """Return the one line that the log has for a proven replacement.

    There are many of them, and the report says the rest.
    """
    where = f"new document {result.new_doc_id}" if result.new_doc_id else "replaced"
    return [f"Document {record.doc_id}: {where}, proof: {result.proof or 'none'}."]
