"""run: send with bounded concurrency, settle together, prove each; and know when to stop."""

from __future__ import annotations

import logging
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    CredentialError,
    IpernityError,
    PermanentError,
    QuotaExceeded,
    SourceChanged,
    SourceUnreadable,
    TransientError,
)
from ipernity_provider.api.models import Ticket
from ipernity_provider.replacement.batch.item import BatchJournal, Fate, Item, ItemJournal, Items
from ipernity_provider.replacement.batch.order import BatchOrder
from ipernity_provider.replacement.batch.plan import BatchPlan, source_known
from ipernity_provider.replacement.batch.waiting import AwaitedTickets
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.life import begin, complete
from ipernity_provider.replacement.order import NewDocument, NotFinished, Result, Uncertain

log = logging.getLogger(__name__)

_TRIES_PER_ITEM = 3
_LOOK_AGAIN = 10.0
_PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Waiting:
    """Nothing is left to be sent, but the service still works.

    :param tickets: ticket -> the document that it should lead to.
    """

    tickets: dict[str, str | None]


class Batch:
    """Carries out a plan.

    The first upload goes ahead alone and is proven before others follow: a service that makes new documents is to be
    noticed at the first one. Whatever ends the sending early, what was sent is still settled and proven.

    :param poll_interval: longest pause between two looks at a ticket, in seconds.
    """

    def __init__(
        self,
        client: IpernityClient,
        order: BatchOrder,
        journal: BatchJournal,
        plan: BatchPlan,
        *,
        poll_interval: float = 30.0,
    ) -> None:
        self._client = client
        self._order = order
        self._plan = plan
        self._items = Items(journal, plan.items)
        self._queue = deque(plan.to_send)
        self._left_bytes = plan.left_bytes
        self._awaited = AwaitedTickets(poll_interval, time.monotonic)
        self._tries: dict[str, int] = {}
        self._trusted = any(item.fate == "replaced" for item in plan.items)
        self._sending: dict[Future[Result | Entry], str] = {}
        self._proving: dict[Future[Result], str] = {}
        self._failures = 0
        self._told = time.monotonic()
        #: Why nothing more is sent; empty while the sending goes on.
        self.stopped = ""
        #: A trouble of the service or the network that a later try may not meet.
        self.trouble: TransientError | None = None

    @property
    def items(self) -> list[Item]:
        return self._items.all()

    def run(self, timeout: float, *, hand_over: bool = False) -> Waiting | None:
        """Send, settle and prove until nothing is left to do.

        :param timeout: seconds to wait for the service once nothing is sent any more.
        :param hand_over: return what remains to be waited for as soon as nothing else is to be done.
        :raises NotFinished: the time limit passed.
        """
        with ThreadPoolExecutor(
            2 * self._order.max_parallel_uploads, thread_name_prefix="ipernity-batch"
        ) as threads:
            try:
                return self._run(threads, timeout, hand_over=hand_over)
            except BaseException:
                self.stopped = self.stopped or "the task was ended"
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _run(self, threads: ThreadPoolExecutor, timeout: float, *, hand_over: bool) -> Waiting | None:
        for item in self.items:
            if item.under_way:
                self._await(threads, item, at_once=True)
        last_work = time.monotonic()
        while True:
            self._send_more(threads)
            if self._sending or self._proving:
                last_work = time.monotonic()
            elif self.trouble or not self._awaited:
                self._close()
                return None
            elif hand_over and self._only_waits:
                self._close()
                return Waiting(self._awaited.documents())
            self._rest()
            self._take_in(threads)
            self._look(threads)
            self._tell()
            waiting_only = self._awaited and not (self._sending or self._proving)
            if waiting_only and time.monotonic() - last_work > timeout:
                raise NotFinished(
                    f"{len(self._awaited)} tickets were not finished in time; a retry goes on waiting for them."
                )

    @property
    def _only_waits(self) -> bool:
        """Nothing is to be sent or to be looked at just now."""
        return (bool(self.stopped) or not self._queue) and bool(self._awaited.seconds_to_next())

    # -- sending -------------------------------------------------------------------------------------------------

    def _send_more(self, threads: ThreadPoolExecutor) -> None:
        while self._queue and not self.stopped and len(self._sending) < self._order.max_parallel_uploads:
            ahead = self._sending or self._proving or self._awaited
            if ahead and not self._trusted:
                return  # the first one has not come back yet
            item = self._queue.popleft()
            if self._left_bytes is not None and item.bytes > self._left_bytes:
                self._queue.appendleft(item)
                self.stopped = f"of this month's upload volume {self._left_bytes} bytes are left, {item.file} has {item.bytes}"
                return
            if self._left_bytes is not None:
                self._left_bytes -= item.bytes
            self._sending[threads.submit(self._begin, item)] = item.doc_id

    def _begin(self, item: Item) -> Result | Entry:
        path = self._order.open_path(item.file)
        return begin(
            self._client,
            self._order.order_for(item, path),
            ItemJournal(self._items, item.doc_id),
            source=self._plan.sources.get(item.doc_id) or source_known(item, path),
            twins=self._plan.twins.get(item.md5),
        )

    def _await(self, threads: ThreadPoolExecutor, item: Item, *, at_once: bool = False) -> None:
        entry = item.entry
        if entry and entry.waiting_for:
            self._awaited.add(entry.waiting_for, item.doc_id, at_once=at_once)
        else:
            self._prove(threads, item.doc_id, None)

    # -- settling and proving ------------------------------------------------------------------------------------

    def _look(self, threads: ThreadPoolExecutor) -> None:
        tickets = self._awaited.next_batch()
        if not tickets:
            return
        try:
            states = self._client.check_tickets(tickets)
        except TransientError as error:
            log.warning("%s The uploads are safe; going on waiting.", error)
            self._awaited.put_off(tickets, _LOOK_AGAIN)
            return
        for doc_id, state in self._awaited.note(states):
            self._prove(threads, doc_id, state)

    def _prove(self, threads: ThreadPoolExecutor, doc_id: str, ticket: Ticket | None) -> None:
        entry = self._items[doc_id].entry
        assert entry is not None  # noqa: S101 - what is awaited was sent
        journal = ItemJournal(self._items, doc_id)
        self._proving[threads.submit(complete, self._client, self._order, journal, entry, ticket)] = doc_id

    def _take_in(self, threads: ThreadPoolExecutor) -> None:
        for sent in [future for future in self._sending if future.done()]:
            doc_id = self._sending.pop(sent)
            begun = self._outcome(sent, doc_id)
            if isinstance(begun, Result):
                self._give_back(doc_id)  # nothing was sent
                self._end(doc_id, begun)
            elif begun:
                self._await(threads, self._items[doc_id])
        for proven in [future for future in self._proving if future.done()]:
            doc_id = self._proving.pop(proven)
            if result := self._outcome(proven, doc_id):
                self._trusted = True
                self._end(doc_id, result)

    def _outcome(self, work: Future[Result | Entry] | Future[Result], doc_id: str) -> Result | Entry | None:
        """What a thread has come to; None if that is trouble, which is dealt with."""
        try:
            outcome = work.result()
        except TransientError as error:
            self._put_back(doc_id, error)
        except PermanentError as error:
            self._end_badly(doc_id, error)
        else:
            self._failures = 0
            return outcome
        return None

    def _end(self, doc_id: str, result: Result | Entry) -> None:
        assert isinstance(result, Result)  # noqa: S101 - for the type checker
        self._items.save(self._items[doc_id].ended(result))

    # -- trouble -------------------------------------------------------------------------------------------------

    def _end_badly(self, doc_id: str, error: IpernityError) -> None:
        if isinstance(error, QuotaExceeded):
            self.stopped = self.stopped or f"this month's upload volume is used up ({error})"
            self._queue.appendleft(self._items[doc_id])
            return
        fate: Fate = (
            "new_document"
            if isinstance(error, NewDocument)
            else "uncertain"
            if isinstance(error, Uncertain)
            else "failed"
        )
        item = self._items.save(self._items[doc_id].ended_badly(fate, str(error)))
        log.error("%s, document %s: %s", item.where, doc_id, error)
        if fate == "new_document" or isinstance(error, CredentialError) or self._order.on_error == "stop":
            self.stopped = self.stopped or f"{item.where}, document {doc_id}, could not be replaced"

    def _put_back(self, doc_id: str, error: TransientError) -> None:
        """What may pass is tried again behind the others; where nothing gets through, a later try has better chances."""
        log.warning("Document %s: %s", doc_id, error)
        tries = self._tries[doc_id] = self._tries.get(doc_id, 0) + 1
        if isinstance(error, SourceChanged | SourceUnreadable):
            if tries >= _TRIES_PER_ITEM:
                self._end_badly(doc_id, error)
                return
        else:
            self._failures += 1
        if self._failures >= _TRIES_PER_ITEM or tries >= _TRIES_PER_ITEM:
            self.stopped = self.stopped or "the service or the network does not work at the moment"
            self.trouble = error
        item = self._items[doc_id]
        if item.under_way:
            return  # its proof could not be had; a later try goes on with it
        self._give_back(doc_id)
        self._queue.append(item)

    def _give_back(self, doc_id: str) -> None:
        if self._left_bytes is not None:
            self._left_bytes += self._items[doc_id].bytes

    def _close(self) -> None:
        """Say of what is left why it was not sent; all that is known is in the journal then."""
        for item in self._queue:
            self._items.save(self._items[item.doc_id].ended_badly("not_sent", f"Not sent: {self.stopped}."))
        self._queue.clear()

    # -- time ----------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Until a thread has ended, or the next look is due."""
        pause = self._awaited.seconds_to_next()
        working: list[Future[Any]] = [*self._sending, *self._proving]
        if working:
            wait(working, timeout=pause, return_when=FIRST_COMPLETED)
        elif pause:
            time.sleep(pause)

    def _tell(self) -> None:
        if time.monotonic() - self._told < _PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        log.info(
            "%d of %d are replaced; %d are being sent, %d processed, %d wait for their turn.",
            sum(item.fate == "replaced" for item in self.items),
            len(self._plan.items),
            len(self._sending),
            len(self._awaited) + len(self._proving),
            len(self._queue),
        )
