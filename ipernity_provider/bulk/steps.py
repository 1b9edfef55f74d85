"""What is done with one row, in a thread of its own: inspect, send, prove.

Each is a step of the single replacement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ipernity_provider import metrics
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    CredentialError,
    PermanentError,
    SourceUnreadable,
    TransientError,
)
from ipernity_provider.api.models import Ticket
from ipernity_provider.bulk.journal import BulkJournal, RowJournal
from ipernity_provider.bulk.rows import Row, file_as_sent
from ipernity_provider.bulk.scheduler import OnError
from ipernity_provider.files.checksums import SourceFile, change_marker
from ipernity_provider.replacement.errors import Cancelled, Refused
from ipernity_provider.replacement.memory import DocumentMemory
from ipernity_provider.replacement.preflight import Account, Preflight, inspect_source
from ipernity_provider.replacement.progress import ProgressLog
from ipernity_provider.replacement.record import UploadRecord
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.replacement.request import (
    Intent,
    ReplaceOptions,
    ReplaceRequest,
    Result,
)
from ipernity_provider.replacement.resume import resume
from ipernity_provider.replacement.schedule import Clock

_SAVED_TOGETHER = 100
_FAILURES_OF_SERVICE = 3


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


@dataclass
class RowSteps:
    """Carries single rows on.

    :param account: as loaded once for all.
    :param memory: what is known of documents.
    """

    client: IpernityClient
    options: BulkOptions
    journal: BulkJournal
    intent: Intent
    cancelled: threading.Event
    clock: Clock
    account: Account | None = None
    memory: DocumentMemory | None = None

    def inspect_all(self) -> TransientError | None:
        """Inspect all rows of the manifest, and save what was found as it comes.

        Thousands of files are not read again if the process dies over them.

        :return: why some rows cannot be inspected for now; None if none is left.
        :raises CredentialError: nothing can be replaced with this token.
        :raises TransientError: three documents in a row could not be asked about: it is the
            service.
        """
        last_error: TransientError | None = None
        failures = 0
        listed = [row for row in self.journal.rows.values() if row.place == "listed"]
        with ThreadPoolExecutor(self.options.max_parallel_uploads, "ipernity-inspect") as threads:
            try:
                results = threads.map(self.inspect, listed)
                while found := list(islice(results, _SAVED_TOGETHER)):
                    self.journal.save(*(row for row, _ in found))
                    for error in (error for _, error in found):
                        last_error = error or last_error
                        of_service = error and not isinstance(error, SourceUnreadable)
                        failures = failures + 1 if of_service else 0
                        if error and failures == _FAILURES_OF_SERVICE:
                            raise error
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return last_error

    def inspect(self, row: Row) -> tuple[Row, TransientError | None]:
        """Look at a row's file and document, and decide what is to be done with it.

        :return: the row; and why it cannot be inspected for now.
        :raises CredentialError: nothing can be replaced with this token.
        """
        if self.cancelled.is_set():
            raise Cancelled("The process was asked to end.")
        if row.status != "planned" and self._has_same_file(row):
            return row, None
        row = replace(row, status="planned", foreseen="", error="")
        try:
            file, unreadable = self._look_at_file(row)
            row = row if unreadable else row.with_source(file)
            found = self._replacement(row, file).inspect(file)
            if unreadable and isinstance(found, Preflight):
                raise unreadable
        except CredentialError:
            raise
        except TransientError as error:
            return row.with_error(error, "not_sent"), error
        except PermanentError as error:
            metrics.sink.incr("ipernity.outcome.refused")
            return row.with_error(error, "refused"), None
        if isinstance(found, Result):
            return row.with_result(found), None
        if isinstance(found, UploadRecord):
            return replace(row, status="sent", ticket=found.ticket), None
        if found and found.unchanged:
            metrics.sink.incr("ipernity.outcome.unchanged")
            before = row.md5_before if row.record else found.shown.md5
            return replace(row, md5_before=before).with_result(found.result("unchanged")), None
        planned = found and replace(
            row, md5_before=found.shown.md5, backup=None, foreseen=found.foreseen
        )
        return planned or row, None

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
        if resumed := resume(replacement, file):
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
            memory=self.memory,
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
    if result.outcome == "transferred":
        where = f"transferred to {result.new_doc_id}"
    return [f"Document {record.doc_id}: {where}, proof: {result.proof or 'none'}."]
