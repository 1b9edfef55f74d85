"""The loop of a run: send some at a time, wait for all tickets together, prove each."""

from __future__ import annotations

import logging
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ipernity_provider import metrics
from ipernity_provider.api.errors import (
    CredentialError,
    PermanentError,
    QuotaExceeded,
    SourceChanged,
    SourceUnreadable,
    TransientError,
)
from ipernity_provider.api.models import Ticket
from ipernity_provider.bulk.rows import Row
from ipernity_provider.bulk.scheduler import SendScheduler, Stop
from ipernity_provider.bulk.steps import RowSteps
from ipernity_provider.replacement.backup import BackupNotStored
from ipernity_provider.replacement.errors import (
    Cancelled,
    NewDocument,
    NotFinished,
    OtherUploadPending,
    TicketNotStored,
)
from ipernity_provider.replacement.request import Result
from ipernity_provider.replacement.schedule import TicketSchedule
from ipernity_provider.text import log_lines

log = logging.getLogger(__name__)

_RECHECK_SECONDS = 10.0
_PROGRESS_SECONDS = 10.0
_LONGEST_REST = 1.0
#: What says nothing about the service, only about one file or the place of its backup or its
#: ticket.
_NOT_OF_SERVICE = (
    SourceChanged,
    SourceUnreadable,
    OtherUploadPending,
    BackupNotStored,
    TicketNotStored,
)


@dataclass(frozen=True)
class _Step:
    """What a thread does: send a row's file, or prove what was sent.

    :param ticket: the final state of the upload's ticket; None where the resulting document is
        known without one.
    """

    doc_id: str
    sends: bool
    ticket: Ticket | None = None


class Sending:
    """One run, in the main thread; sending and proving are done in others.

    :ivar last_error: why some rows were left to a later try.
    """

    def __init__(self, steps: RowSteps, left_bytes: int | None, stop: Stop | None) -> None:
        self._steps = steps
        self._journal = steps.journal
        self._each = steps.options.each
        self._max_parallel = steps.options.max_parallel_uploads
        self._clock = steps.clock
        rows = [row for row in self._journal.rows.values() if row.place != "set_aside"]
        planned = [row for row in rows if row.status == "planned"]
        planned.sort(
            key=lambda row: not row.may_have_arrived
        )  # asked about first: perhaps nothing is to be sent
        sent = [row.doc_id for row in rows if row.status == "sent"]
        self.scheduler = SendScheduler(
            {row.doc_id: row.volume for row in planned},
            max_parallel=self._max_parallel,
            unchecked=sent,
            left_bytes=left_bytes,
            stop=stop,
        )
        self.last_error: TransientError | None = None
        self._threads = ThreadPoolExecutor(2 * self._max_parallel, "ipernity-bulk")
        self._working: dict[Future[Any], _Step] = {}
        self._to_prove: deque[_Step] = deque()
        self._schedule = TicketSchedule()
        #: The pending tickets, each with its document.
        self._pending: dict[str, str] = {}
        self._logged_at = self._clock.monotonic()
        for doc_id in sent:  # perhaps processed long ago: checked at once
            self._await(doc_id, delay=0.0)

    def run(self, timeout: float, *, may_pause: bool) -> dict[str, str]:
        """Send, wait and prove until nothing is left to do.

        If ``may_pause``, return as soon as there is nothing to do but to wait.

        :return: ticket -> document of what is left to wait for.
        :raises NotFinished: nothing was sent or proven for ``timeout`` seconds, and tickets are
            still pending.
        :raises Cancelled: the process is to end, or another process has begun.
        """
        last_work = self._clock.monotonic()
        while True:
            if self._steps.cancelled.is_set():
                raise Cancelled("The process was asked to end.")
            self._submit()
            due = self._schedule.next_due()
            to_check = _LONGEST_REST if due is None else max(0.0, due - self._clock.monotonic())
            waits = bool(self._pending) and to_check > 0
            if self._working:
                last_work = self._clock.monotonic()
            elif (
                self.scheduler.outage
                or not self._pending
                or (may_pause and waits and self.scheduler.idle)
            ):
                break
            elif waits and self._clock.monotonic() - last_work > timeout:
                raise NotFinished(
                    f"Tickets not finished in time: {len(self._pending)}. The uploads are safe. "
                    "A retry continues to wait for them."
                )
            self._rest(min(to_check, _LONGEST_REST))
            for future in [future for future in self._working if future.done()]:
                self._take_in(future)
            self._check_tickets()
        self._threads.shutdown()
        self._journal.save(*self._unsent())
        return {} if self.scheduler.outage else self._pending

    def abort(self) -> None:
        """End the threads and take in their results.

        Rows that were not sent say so in the report.
        """
        self.scheduler.end("ended", "the process was asked to end")
        self._steps.cancelled.set()
        self._threads.shutdown(cancel_futures=True)
        for future in list(self._working):
            with suppress(Exception):
                self._take_in(future)
        for row in self._unsent():
            self._journal.rows[row.doc_id] = row  # in memory only: the next try inspects them again

    # -- the threads -------------------------------------------------------------------------------

    def _submit(self) -> None:
        """Give the threads what is to be sent and proven now."""
        while doc_id := self.scheduler.next():
            self._working[self._threads.submit(self._steps.send, doc_id)] = _Step(
                doc_id, sends=True
            )
        proving = sum(not step.sends for step in self._working.values())
        while self._to_prove and proving < self._max_parallel and not self.scheduler.outage:
            step = self._to_prove.popleft()
            self._working[self._threads.submit(self._steps.prove, step.doc_id, step.ticket)] = step
            proving += 1

    def _take_in(self, future: Future[Any]) -> None:
        step = self._working.pop(future)
        try:
            found = future.result()
        except QuotaExceeded as error:
            self.scheduler.end("volume", f"this month's upload volume is used up ({error})")
            self.scheduler.requeue(step.doc_id)
        except TransientError as error:
            self._take_in_failure(step, error)
        except PermanentError as error:
            if isinstance(error, CredentialError) and not step.sends:
                raise  # it was sent, and what came of it cannot be seen any more
            self._fail(self._journal.rows[step.doc_id], error)
        else:
            self._take_in_success(step.doc_id, found)

    def _take_in_success(self, doc_id: str, found: Any) -> None:
        """Take in what a step has returned.

        That is a result, a record with a pending ticket, or None where the file is to be sent.
        """
        row = self._journal.rows[doc_id]
        if isinstance(found, Result):
            if found.outcome != "unchanged":
                self.scheduler.note_sent(doc_id)
            self.scheduler.note_done(doc_id, proven=found.outcome != "unchanged")
            self._journal.save(row.with_result(found))
        elif found is None:
            self.scheduler.note_done(doc_id)
            self._journal.save(row := replace(row, status="planned"))
            self.scheduler.add(doc_id, row.volume)
        else:
            self.scheduler.note_sent(doc_id)
            if row.status != "sent":
                self._journal.save(replace(row, status="sent"))
            self._await(doc_id)

    def _take_in_failure(self, step: _Step, error: TransientError) -> None:
        """Try a row again, after the others, if its error may pass.

        Where nothing gets through, a later try of the task has better chances.
        """
        doc_id, row = step.doc_id, self._journal.rows[step.doc_id]
        log_lines(log, logging.WARNING, f"Document {doc_id}: {error}")
        if isinstance(error, SourceChanged):
            self._journal.rows[doc_id] = row = replace(row, source=None)
        again = self.scheduler.note_failure(
            doc_id, of_service=not isinstance(error, _NOT_OF_SERVICE)
        )
        if again and not isinstance(error, OtherUploadPending):
            if step.sends:
                self.scheduler.requeue(doc_id)
            else:
                self._to_prove.append(step)
            return
        self.last_error = error
        self.scheduler.note_done(doc_id)
        if step.sends:
            self._journal.save(row.with_error(error, "not_sent"))
            if self._steps.options.on_error == "stop":
                self.scheduler.end("failed", f"{row.where}, document {doc_id}, could not be sent")

    def _fail(self, row: Row, error: PermanentError) -> None:
        # A token that is refused says nothing about the row.
        row = row.with_error(error, "not_sent" if isinstance(error, CredentialError) else "failed")
        self._journal.save(row)
        metrics.sink.incr(f"ipernity.outcome.{row.status}")
        log_lines(log, logging.ERROR, f"{row.where}, document {row.doc_id}: {row.error}")
        self.scheduler.note_done(row.doc_id)
        if isinstance(error, NewDocument):
            self.scheduler.end(
                "new_document", f"{row.where}, document {row.doc_id}, became a new document"
            )
        elif isinstance(error, CredentialError):
            self.scheduler.end("credentials", "the service refuses the token or the account")
        elif self._steps.options.on_error == "stop":
            self.scheduler.end(
                "failed", f"{row.where}, document {row.doc_id}, could not be replaced"
            )

    def _unsent(self) -> list[Row]:
        """Return the rows that nothing was sent of, with the reason."""
        reason = f"Not sent: {self.scheduler.stop.message}." if self.scheduler.stop else "Not sent."
        return [
            self._journal.rows[doc_id].without_upload(reason) for doc_id in self.scheduler.drain()
        ]

    # -- the tickets -------------------------------------------------------------------------------

    def _await(self, doc_id: str, delay: float | None = None) -> None:
        record = self._journal.rows[doc_id].record
        if record and record.pending_ticket:
            self._pending[record.pending_ticket] = doc_id
            now = self._clock.monotonic()
            self._schedule.add(record.pending_ticket, self._each.poll_interval, now, delay=delay)
        else:
            self._to_prove.append(_Step(doc_id, sends=False))

    def _check_tickets(self) -> None:
        now = self._clock.monotonic()
        if not (tickets := self._schedule.next_call(now)):
            return
        try:
            states = self._steps.client.check_tickets(tickets)
        except TransientError as error:
            log_lines(log, logging.WARNING, f"{error} The uploads are safe; still waiting.")
            self._schedule.postpone(tickets, now + _RECHECK_SECONDS)
            return
        for state in states:
            if state.pending:
                self._schedule.note_pending(state.id, state.eta, now)
                self.scheduler.note_checked(self._pending[state.id])
            else:
                self._schedule.remove(state.id)
                doc_id = self._pending.pop(state.id)
                self._to_prove.append(_Step(doc_id, sends=False, ticket=state))

    def _rest(self, pause: float) -> None:
        """Wait until a thread has ended or a check is due.

        The wait is short, because the task may be ended.
        """
        if self._working:
            wait(self._working, timeout=pause, return_when=FIRST_COMPLETED)
        elif not self._to_prove:
            self._clock.sleep(pause)  # Event.wait() is not signal-safe here
        if self._clock.monotonic() - self._logged_at >= _PROGRESS_SECONDS:
            self._logged_at = self._clock.monotonic()
            counts = Counter(row.status for row in self._journal.rows.values())
            progress = (
                f"{counts['replaced']} of {counts.total()} replaced, {counts['sent']} not"
                " proven yet"
            )
            log.info("%s, %d wait for their turn.", progress, len(self.scheduler))
