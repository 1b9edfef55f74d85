"""TicketPoller: one status call for all tickets that wait on a connection.

A triggerer runs a thousand triggers in one event loop. If each asked for its own ticket, the service would see a
thousand calls a round; here those of one connection share a poller, which asks for 50 tickets a call, through the same
synchronous client as everything else, in a thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ipernity_provider.api.errors import IpernityError, TransientError
from ipernity_provider.api.pace import next_delay

if TYPE_CHECKING:
    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.api.models import Ticket

    Connect = Callable[[], Awaitable[Callable[[], IpernityClient]]]

log = logging.getLogger(__name__)

TICKETS_PER_CALL = 50
CALLS_AT_A_TIME = 2
_THREADS = "ipernity-tickets"
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 120.0


class Watch:
    """What one waiter sees of its tickets.

    It is woken for news only, not for each look.

    :ivar states: the tickets that are no longer pending.
    :ivar trouble: why the last status call failed; empty after one that succeeded.
    :ivar next_look: loop time of the next look at any of the tickets.
    """

    def __init__(self, tickets: Iterable[str], poll_interval: float) -> None:
        self.pending = set(tickets)
        self.poll_interval = poll_interval
        self.states: dict[str, Ticket] = {}
        self.trouble = ""
        self.next_look = 0.0
        self._error: BaseException | None = None
        self._news = asyncio.Event()

    async def news(self) -> None:
        """Wait until a ticket is finished, or there is trouble.

        :raises IpernityError: a permanent one: looking again would not help.
        """
        await self._news.wait()
        self._news.clear()
        if self._error:
            raise self._error

    def tell(self, ticket: Ticket, next_look: float) -> None:
        self.next_look = next_look
        self.trouble = ""
        if not ticket.pending:
            self.states[ticket.id] = ticket
            self.pending.discard(ticket.id)
            self._news.set()

    def tell_trouble(self, trouble: str, next_look: float) -> None:
        self.next_look = next_look
        self.trouble = trouble
        self._news.set()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._news.set()


@dataclass
class _Waited:
    """A ticket that somebody waits for.

    :ivar asked: loop time of the last look, or of the start.
    :ivar due: loop time of the next one; None while it is being looked at.
    """

    ticket: str
    asked: float
    due: float | None
    looks: int = 0
    watches: set[Watch] = field(default_factory=set)

    @property
    def poll_interval(self) -> float:
        return min(watch.poll_interval for watch in self.watches)


class TicketPoller:
    """Looks at the tickets of all watches, each at its own pace, in as few calls as possible.

    A call is filled up with the tickets that are due next, so that tickets come to be asked for together. Transient
    errors are survived with growing pauses, for as long as the waiters wait; permanent ones are told to all of them.

    :param connect: awaited when the poller starts, for what makes the client in a thread.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._waited: dict[str, _Waited] = {}
        self._queue: list[tuple[float, int, _Waited]] = []
        self._order = count()
        self._changed = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()
        self._quiet_until = 0.0
        self._pause = 0.0
        # A context of its own: in that of the first waiter its log lines would all go to that one's task.
        self._task = self._loop.create_task(self._run(), context=contextvars.Context())

    @property
    def running(self) -> bool:
        return not self._task.done()

    def when_ended(self, call: Callable[[object], None]) -> None:
        self._task.add_done_callback(call)

    @asynccontextmanager
    async def watching(self, tickets: Iterable[str], poll_interval: float) -> AsyncIterator[Watch]:
        """Look at these tickets for as long as the block lasts."""
        watch = Watch(tickets, poll_interval)
        self._add(watch)
        try:
            yield watch
        finally:
            self._remove(watch)

    def _add(self, watch: Watch) -> None:
        now, delay = self._loop.time(), next_delay(0, None, watch.poll_interval)
        for ticket in watch.pending:
            waited = self._waited.setdefault(ticket, _Waited(ticket, now, None))
            new = not waited.watches
            waited.watches.add(watch)
            # Who joins with less patience makes the next look an earlier one.
            if new or (waited.due is not None and waited.due > now + delay):
                self._schedule(waited, delay)
        watch.next_look = now + delay
        self._changed.set()

    def _remove(self, watch: Watch) -> None:
        for ticket in watch.pending:
            if waited := self._waited.get(ticket):
                waited.watches.discard(watch)
                if not waited.watches:
                    del self._waited[ticket]
        self._changed.set()

    def _schedule(self, waited: _Waited, delay: float) -> float:
        waited.due = self._loop.time() + delay
        heapq.heappush(self._queue, (waited.due, next(self._order), waited))
        return waited.due

    # -- the poller's own task -----------------------------------------------------------------------------------

    async def _run(self) -> None:
        threads = ThreadPoolExecutor(CALLS_AT_A_TIME, thread_name_prefix=_THREADS)
        client = None
        try:
            make_client = await self._connect()
            client = await self._loop.run_in_executor(threads, make_client)
            while self._waited:
                batch = self._next_batch() if len(self._asking) < CALLS_AT_A_TIME else []
                if batch:
                    asking = self._loop.create_task(self._ask(client, threads, batch))
                    self._asking.add(asking)
                    asking.add_done_callback(self._asked)
                else:
                    await self._sleep()
        except asyncio.CancelledError:
            self._fail_all(TransientError("The ticket poller was cancelled."))
            raise
        except Exception as error:
            # Nobody awaits this task: its waiters must hear of it, or they would wait for ever.
            self._fail_all(error)
            if not isinstance(error, IpernityError):
                log.exception("The ticket poller has ended.")
        finally:
            closing = threading.Thread(target=_close, args=(threads, client), name=_THREADS, daemon=True)
            closing.start()

    def _next_batch(self) -> list[_Waited]:
        """The tickets that are due, filled up with those that are due soonest; empty if none is due."""
        now = self._loop.time()
        batch: list[_Waited] = []
        if now < self._quiet_until:
            return batch
        while self._queue and len(batch) < TICKETS_PER_CALL:
            due, _, waited = self._queue[0]
            if not self._is_current(waited, due):
                heapq.heappop(self._queue)
                continue
            # Not before half of its pause is over: filling up must not turn a slow pace into a fast one.
            early = batch and now >= (waited.asked + due) / 2
            if due > now and not early:
                break
            heapq.heappop(self._queue)
            waited.due = None
            batch.append(waited)
        return batch

    def _is_current(self, waited: _Waited, due: float) -> bool:
        return waited.due == due and self._waited.get(waited.ticket) is waited

    async def _sleep(self) -> None:
        """Until the next ticket is due, an answer has come, or a waiter has come or gone."""
        self._changed.clear()
        full = len(self._asking) >= CALLS_AT_A_TIME
        until = None if full or not self._queue else max(self._queue[0][0], self._quiet_until)
        try:
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _ask(self, client: IpernityClient, threads: ThreadPoolExecutor, batch: list[_Waited]) -> None:
        tickets = [waited.ticket for waited in batch]
        try:
            states = await self._loop.run_in_executor(threads, client.check_tickets, tickets)
        except TransientError as error:
            self._put_off(batch, error)
            return
        self._pause = 0.0
        now = self._loop.time()
        for waited, state in zip(batch, states, strict=True):
            self._note(waited, state, now)

    def _asked(self, asking: asyncio.Task[None]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled() and (error := asking.exception()):
            self._fail_all(error)
        self._changed.set()

    def _note(self, waited: _Waited, state: Ticket, now: float) -> None:
        if self._waited.get(waited.ticket) is not waited:
            return  # nobody waits any more
        waited.asked = now
        waited.looks += 1
        next_look = now
        if state.pending:
            next_look = self._schedule(waited, next_delay(waited.looks, state.eta, waited.poll_interval))
        else:
            del self._waited[waited.ticket]
        for watch in waited.watches:
            watch.tell(state, next_look)

    def _put_off(self, batch: list[_Waited], error: TransientError) -> None:
        """After a transient error nobody calls for a while, and for longer each time."""
        now = self._loop.time()
        if now >= self._quiet_until:  # of two calls that fail together only one makes the pause grow
            self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
            self._quiet_until = now + self._pause
            log.warning("%s No status calls for %.0f s.", error, self._pause)
        for waited in batch:
            if waited.watches and self._waited.get(waited.ticket) is waited:
                next_look = self._schedule(waited, self._quiet_until - now)
                for watch in waited.watches:
                    watch.tell_trouble(str(error), next_look)

    def _fail_all(self, error: BaseException) -> None:
        for watch in {watch for waited in self._waited.values() for watch in waited.watches}:
            watch.fail(error)
        self._waited.clear()
        self._queue.clear()


def _close(threads: ThreadPoolExecutor, client: IpernityClient | None) -> None:
    """Behind the calls that are still under way, for which the event loop does not wait."""
    threads.shutdown(wait=True)
    if client:
        client.close()


_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, TicketPoller]] = WeakKeyDictionary()


def poller_of(conn_id: str, connect: Connect) -> TicketPoller:
    """The poller of a connection in the running event loop; a new one if the last has ended."""
    pollers = _POLLERS.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(conn_id)
    if poller is None or not poller.running:
        poller = pollers[conn_id] = TicketPoller(connect)
        # A poller knows its loop: left here, it would keep a closed loop alive.
        poller.when_ended(partial(_forget, pollers, conn_id, poller))
    return poller


def _forget(pollers: dict[str, TicketPoller], conn_id: str, ended: TicketPoller, _: object) -> None:
    if pollers.get(conn_id) is ended:
        del pollers[conn_id]
