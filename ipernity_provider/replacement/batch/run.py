"""run: send with bounded concurrency, settle together, prove each; and know when to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    CredentialError,
    PermanentError,
    QuotaExceeded,
    SourceChanged,
    SourceUnreadable,
    TransientError,
)
from ipernity_provider.api.models import Ticket
from ipernity_provider.api.sentences import log_lines
from ipernity_provider.replacement.batch.item import Item
from ipernity_provider.replacement.batch.journal import BatchJournal, Items
from ipernity_provider.replacement.batch.order import BatchOrder
from ipernity_provider.replacement.batch.plan import BatchPlan
from ipernity_provider.replacement.batch.queue import Lead, SendQueue
from ipernity_provider.replacement.batch.waiting import AwaitedTickets, Waiting
from ipernity_provider.replacement.batch.work import Work
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.order import NotFinished, Result
from ipernity_provider.replacement.send import GivenUp

log = logging.getLogger(__name__)

_TRIES_PER_ITEM = 3
_FAILURES_IN_A_ROW = 3
_LOOK_AGAIN = 10.0
_PROGRESS_SECONDS = 10.0


class Batch:
    """Carries out a plan.

    The first upload goes ahead alone and is proven before others follow: a service that makes new documents is to be
    noticed at the first one. What an earlier try has sent is looked at before more is sent, for the same reason. Whatever
    ends the sending early, what was sent is still settled and proven.

    :param poll_interval: longest pause between two looks at a ticket, in seconds.
    :param stopped: why nothing more is to be sent from the start.
    :param given_up: ends the batch soon once it is set, by a signal handler or another thread: uploads break off, no more
        are begun.
    """

    def __init__(
        self,
        client: IpernityClient,
        order: BatchOrder,
        journal: BatchJournal,
        plan: BatchPlan,
        *,
        poll_interval: float = 30.0,
        stopped: str = "",
        given_up: threading.Event | None = None,
    ) -> None:
        self._client = client
        self._order = order
        self._items = Items(journal, plan.items)
        self._given_up = given_up or threading.Event()
        self._work = Work(client, order, self._items, plan, self._given_up)
        self._queue = SendQueue(plan.to_send, plan.left_bytes)
        self._awaited = AwaitedTickets(poll_interval, time.monotonic)
        self._sending: dict[Future[Result | Entry], Item] = {}
        self._to_prove: deque[tuple[str, Ticket | None]] = deque()
        self._proving: dict[Future[Result], tuple[str, Ticket | None]] = {}
        self._lead = Lead(item.doc_id for item in plan.items if item.under_way)
        self._tries: Counter[str] = Counter()
        self._failing: list[str] = []
        self._down = False
        self._told = time.monotonic()
        #: Why nothing more is sent; empty while the sending goes on.
        self.stopped = stopped
        #: Why some was not done that a later try may do.
        self.trouble: TransientError | None = plan.trouble

    @property
    def items(self) -> list[Item]:
        return self._items.all()

    def run(self, timeout: float, *, hand_over: bool = False) -> Waiting | None:
        """Send, settle and prove until nothing is left to do.

        :param timeout: seconds to wait for the service once nothing is sent any more.
        :param hand_over: return what remains to be waited for as soon as nothing else is to be done.
        :raises NotFinished: the time limit passed.
        :raises GivenUp: by ``given_up``.
        """
        threads = ThreadPoolExecutor(
            2 * self._order.max_parallel_uploads, thread_name_prefix="ipernity-batch"
        )
        try:
            waiting = self._run(threads, timeout, hand_over=hand_over)
            self._items.save(*self._left_over())
        except BaseException:
            self.stopped = self.stopped or "the task was ended"
            self._given_up.set()
            threads.shutdown(cancel_futures=True)
            for ended in self._working:
                with suppress(Exception):
                    self._take_in(ended)
            self._items.note(*self._left_over())  # for the report; the next try plans them anew
            raise
        threads.shutdown()
        return waiting

    def _run(self, threads: ThreadPoolExecutor, timeout: float, *, hand_over: bool) -> Waiting | None:
        for item in self.items:
            if item.under_way:
                self._await(item, at_once=True)
        last_work = time.monotonic()
        while True:
            if self._given_up.is_set():
                raise GivenUp("The task was ended.")
            self._send_more(threads)
            self._prove_more(threads)
            if self._sending or self._proving:
                last_work = time.monotonic()
            elif self._down or not self._awaited:
                return None
            elif hand_over and self._only_waits:
                return Waiting(self._awaited.documents())
            elif time.monotonic() - last_work > timeout and self._awaited.seconds_to_next():
                raise NotFinished(
                    f"Tickets not finished in time: {len(self._awaited)}. A retry goes on waiting for them."
                )
            self._rest()
            for ended in [work for work in self._working if work.done()]:
                self._take_in(ended)
            self._look()
            self._tell()

    @property
    def _working(self) -> list[Future[Any]]:
        sending: list[Future[Any]] = [*self._sending]
        return [*sending, *self._proving]

    @property
    def _only_waits(self) -> bool:
        """Nothing is to be sent or to be looked at just now."""
        return (bool(self.stopped) or not self._queue) and bool(self._awaited.seconds_to_next())

    # -- sending -------------------------------------------------------------------------------------------------

    def _send_more(self, threads: ThreadPoolExecutor) -> None:
        while self._queue and not self.stopped and len(self._sending) < self._order.max_parallel_uploads:
            if not self._lead.may_send:
                return
            self.stopped = self._queue.shortage()
            if not self.stopped:
                item = self._queue.take()
                self._lead.sent(item.doc_id)
                self._sending[threads.submit(self._work.begin, item)] = item

    def _await(self, item: Item, *, at_once: bool = False) -> None:
        if item.entry and item.entry.waiting_for:
            self._awaited.add(item.entry.waiting_for, item.doc_id, at_once=at_once)
        else:
            self._to_prove.append((item.doc_id, None))

    # -- settling and proving ------------------------------------------------------------------------------------

    def _look(self) -> None:
        tickets = self._awaited.next_batch()
        if not tickets:
            return
        try:
            states = self._client.check_tickets(tickets)
        except TransientError as error:
            log_lines(log, logging.WARNING, f"{error} The uploads are safe; still waiting.")
            self._awaited.put_off(tickets, _LOOK_AGAIN)
            return
        for doc_id, state in self._awaited.note(states):
            if state.pending:
                self._lead.seen(doc_id)
            else:
                self._to_prove.append((doc_id, state))

    def _prove_more(self, threads: ThreadPoolExecutor) -> None:
        while self._to_prove and not self._down and len(self._proving) < self._order.max_parallel_uploads:
            doc_id, ticket = self._to_prove.popleft()
            self._proving[threads.submit(self._work.complete, doc_id, ticket)] = doc_id, ticket

    # -- what the threads come to --------------------------------------------------------------------------------

    def _take_in(self, ended: Future[Any]) -> None:
        if ended in self._sending:
            self._take_in_sent(ended, self._sending[ended])
            del self._sending[ended]
        else:
            self._take_in_proven(ended, *self._proving.pop(ended))

    def _take_in_sent(self, sent: Future[Result | Entry], item: Item) -> None:
        try:
            begun = sent.result()
        except QuotaExceeded as error:
            self.stopped = self.stopped or f"this month's upload volume is used up ({error})"
            self._queue.put_back(item, self._items[item.doc_id])
        except (SourceChanged, SourceUnreadable) as error:
            self._send_later(item, error)
        except TransientError as error:
            self._note_failure(item.doc_id, error)
            self._send_later(item, error)
        except PermanentError as error:
            self._queue.give_back(item)
            self._end_badly(item.doc_id, error)
        else:
            self._failing.clear()
            if not isinstance(begun, Result):
                self._await(self._items[item.doc_id])
                return
            self._queue.give_back(item)  # nothing was sent
            self._end(item.doc_id, begun)
        self._lead.came_back(item.doc_id)

    def _send_later(self, item: Item, error: TransientError) -> None:
        """What may pass is tried again behind the others; where nothing gets through, a later try has better chances."""
        log_lines(log, logging.WARNING, f"Document {item.doc_id}: {error}")
        self._tries[item.doc_id] += 1
        now = self._items[item.doc_id]
        if isinstance(error, SourceChanged):
            now = replace(now, md5="", fingerprint="")  # it is examined anew
            self._items.note(now)
        if self._down or self._tries[item.doc_id] < _TRIES_PER_ITEM:
            self._queue.put_back(item, now)
            return
        self._queue.give_back(item)
        self._items.save(now.unsent(str(error)))
        self.trouble = error
        if self._order.on_error == "stop":
            could = "read" if isinstance(error, SourceChanged | SourceUnreadable) else "sent"
            self.stopped = self.stopped or f"{item.where}, document {item.doc_id}, could not be {could}"

    def _take_in_proven(self, proven: Future[Result], doc_id: str, ticket: Ticket | None) -> None:
        try:
            result = proven.result()
        except TransientError as error:
            log_lines(log, logging.WARNING, f"Document {doc_id}: {error}")
            self._tries[doc_id] += 1
            self._note_failure(doc_id, error)
            if self._down or self._tries[doc_id] < _TRIES_PER_ITEM:
                self._to_prove.append((doc_id, ticket))
                return
            self.trouble = error  # a later try looks again
        except CredentialError:
            raise  # it is sent, and nobody can look any more at what came of it
        except PermanentError as error:
            self._end_badly(doc_id, error)
        else:
            self._failing.clear()
            self._lead.came_back(doc_id, replaced=True)
            self._end(doc_id, result)
        self._lead.came_back(doc_id)

    def _end(self, doc_id: str, result: Result) -> None:
        self._items.save(self._items[doc_id].ended(result))
        if result.new_doc_id:
            self._doubt_claims_to(result.new_doc_id, result.md5)

    def _doubt_claims_to(self, new_doc_id: str, md5: str) -> None:
        """A new document comes of one upload: of several with its bytes, only that counts whose ticket has led to it."""
        claims = [item for item in self._items.with_new_document(md5) if item.new_doc_id == new_doc_id]
        for item in claims:
            if len(claims) > 1 and not item.ticket:
                other = next(claim for claim in claims if claim is not item)
                self._note_bad_end(item.doubted(other))

    def _end_badly(self, doc_id: str, error: PermanentError) -> None:
        item = self._items[doc_id].ended_by(error, "failed")
        self._note_bad_end(item, fatal=item.fate == "new_document" or isinstance(error, CredentialError))

    def _note_bad_end(self, item: Item, *, fatal: bool = False) -> None:
        self._items.save(item)
        log_lines(log, logging.ERROR, f"{item.where}, document {item.doc_id}: {item.error}")
        if fatal or self._order.on_error == "stop":
            self.stopped = self.stopped or f"{item.where}, document {item.doc_id}, could not be replaced"

    def _note_failure(self, doc_id: str, error: TransientError) -> None:
        """One document may be in trouble; where several are, one after the other, it is the service."""
        self._failing.append(doc_id)
        if len(self._failing) >= _FAILURES_IN_A_ROW and len(set(self._failing)) > 1:
            self.stopped = self.stopped or "the service or the network does not work at the moment"
            self.trouble = error
            self._down = True

    def _left_over(self) -> list[Item]:
        """What was not sent, or may have been, each with the reason."""
        waiting = [*self._queue.drain(), *self._sending.values()]
        return [self._items[item.doc_id].left_over(self.stopped) for item in waiting]

    # -- time ----------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Until a thread has ended, the next look is due, or it is time for a word."""
        next_look = self._awaited.seconds_to_next()
        pause = _PROGRESS_SECONDS if next_look is None else min(next_look, _PROGRESS_SECONDS)
        if self._working:
            wait(self._working, timeout=pause, return_when=FIRST_COMPLETED)
        elif not self._to_prove:
            time.sleep(pause)  # not by the event: its lock is none for signal handlers

    def _tell(self) -> None:
        if time.monotonic() - self._told < _PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        counts = Counter(item.fate for item in self.items)
        log.info(
            "%d of %d are replaced; %d are being sent, %d processed, %d wait for their turn.",
            counts["replaced"],
            sum(counts.values()),
            len(self._sending),
            len(self._awaited) + len(self._to_prove) + len(self._proving),
            len(self._queue),
        )
