"""TicketPoller: one status call for all tickets that wait on a connection.

A triggerer runs a thousand triggers in one event loop. If each asked for its own ticket, the
service would see a thousand calls a round; here those of one connection share a poller, which
checks 50 tickets a call, through the same synchronous client as everything else, in a thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ipernity_provider import metrics
from ipernity_provider.api.errors import IpernityError, TransientError
from ipernity_provider.hooks.metrics import measure_triggerer
from ipernity_provider.replacement.schedule import TicketSchedule

if TYPE_CHECKING:
    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.api.models import Ticket

    Connect = Callable[[], Awaitable[Callable[[], IpernityClient]]]

log = logging.getLogger(__name__)

CALLS_AT_A_TIME = 2
_THREADS = "ipernity-tickets"
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 120.0


class Subscription:
    """What one trigger sees of its tickets.

    It is woken for news only, not for each check.

    :ivar states: the tickets that are no longer pending.
    :ivar trouble: why the last status call failed; empty after one that succeeded.
    :ivar next_check: loop time of the next check of any of the tickets.
    """

    def __init__(self, tickets: Iterable[str], poll_interval: float) -> None:
        self.pending = set(tickets)
        self.poll_interval = poll_interval
        self.states: dict[str, Ticket] = {}
        self.trouble = ""
        self.next_check = 0.0
        self._error: BaseException | None = None
        self._news = asyncio.Event()

    async def news(self) -> None:
        """Wait until a ticket is finished, or there is trouble.

        :raises IpernityError: a permanent one: checking again would not help.
        """
        await self._news.wait()
        self._news.clear()
        if self._error:
            raise self._error

    def note(self, ticket: Ticket, next_check: float) -> None:
        self.next_check = next_check
        self.trouble = ""
        if not ticket.pending:
            self.states[ticket.id] = ticket
            self.pending.discard(ticket.id)
            self._news.set()

    def note_trouble(self, trouble: str, next_check: float) -> None:
        self.next_check = next_check
        self.trouble = trouble
        self._news.set()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._news.set()


class TicketPoller:
    """Checks the tickets of all subscriptions, each at its own pace, in as few calls as possible.

    Transient errors are survived with growing pauses, for as long as the subscribers wait;
    permanent ones go to all of them. When is checked what is up to
    :class:`~ipernity_provider.replacement.schedule.TicketSchedule`.

    :param connect: awaited when the poller starts, for what makes the client in a thread.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._schedule = TicketSchedule()
        self._subscribers: dict[str, set[Subscription]] = {}
        self._changed = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._quiet_until = 0.0
        self._pause = 0.0
        # A context of its own: in that of the first trigger its log lines would all go to that
        # one's task.
        self._task = self._loop.create_task(self._run(), context=contextvars.Context())

    @property
    def running(self) -> bool:
        return not self._task.done()

    def when_ended(self, call: Callable[[object], None]) -> None:
        self._task.add_done_callback(call)

    @asynccontextmanager
    async def subscribe(
        self, tickets: Iterable[str], poll_interval: float
    ) -> AsyncIterator[Subscription]:
        """Check these tickets for as long as the block lasts."""
        subscription = Subscription(tickets, poll_interval)
        now = self._loop.time()
        for ticket in subscription.pending:
            self._subscribers.setdefault(ticket, set()).add(subscription)
            subscription.next_check = self._schedule.add(ticket, poll_interval, now)
        self._changed.set()
        try:
            yield subscription
        finally:
            self._unsubscribe(subscription)

    def _unsubscribe(self, subscription: Subscription) -> None:
        for ticket in subscription.pending:
            subscribers = self._subscribers.get(ticket, set())
            subscribers.discard(subscription)
            if subscribers:
                self._schedule.set_pace(ticket, min(other.poll_interval for other in subscribers))
            else:
                self._forget_ticket(ticket)
        self._changed.set()

    def _forget_ticket(self, ticket: str) -> set[Subscription]:
        self._schedule.remove(ticket)
        return self._subscribers.pop(ticket, set())

    # -- the poller's own task ---------------------------------------------------------------------

    async def _run(self) -> None:
        threads = ThreadPoolExecutor(CALLS_AT_A_TIME, thread_name_prefix=_THREADS)
        client = None
        try:
            measure_triggerer()
            make_client = await self._connect()
            client = await self._loop.run_in_executor(threads, make_client)
            while self._subscribers:
                now = self._loop.time()
                free = len(self._calls) < CALLS_AT_A_TIME and now >= self._quiet_until
                due = self._schedule.next_due()
                if tickets := self._schedule.next_call(now) if free else []:
                    metrics.sink.gauge("ipernity.poller.backlog", _backlog())
                    metrics.sink.timing("ipernity.poller.lag", max(0.0, now - (due or now)) * 1000)
                    call = self._loop.create_task(self._check(client, threads, tickets))
                    self._calls.add(call)
                    call.add_done_callback(self._checked)
                else:
                    await self._sleep()
        except asyncio.CancelledError:
            self._fail_all(TransientError("The ticket poller was cancelled."))
            raise
        except Exception as error:
            # This task is not awaited: without this its subscribers would wait for ever.
            self._fail_all(error)
            if not isinstance(error, IpernityError):
                log.exception("The ticket poller has ended.")
        finally:
            # Whoever shows a gauge shows its last value for as long as there is no other.
            metrics.sink.gauge("ipernity.poller.backlog", _backlog())
            closing = threading.Thread(
                target=_close, args=(threads, client), name=_THREADS, daemon=True
            )
            closing.start()

    async def _sleep(self) -> None:
        """Sleep until there is something to do.

        That is when the next ticket is due, an answer has come, or a subscription has begun or
        ended.
        """
        self._changed.clear()
        due = self._schedule.next_due()
        full = len(self._calls) >= CALLS_AT_A_TIME
        until = None if full or due is None else max(due, self._quiet_until)
        try:
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _check(
        self, client: IpernityClient, threads: ThreadPoolExecutor, tickets: list[str]
    ) -> None:
        try:
            states = await self._loop.run_in_executor(threads, client.check_tickets, tickets)
        except TransientError as error:
            self._postpone(tickets, error)
            return
        self._pause = 0.0
        now = self._loop.time()
        for state in states:
            next_check = (
                self._schedule.note_pending(state.id, state.eta, now) if state.pending else now
            )
            subscribers = (
                self._subscribers.get(state.id) if state.pending else self._forget_ticket(state.id)
            )
            for subscription in subscribers or ():
                subscription.note(state, next_check or now)

    def _checked(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if not call.cancelled() and (error := call.exception()):
            self._fail_all(error)
        self._changed.set()

    def _postpone(self, tickets: list[str], error: TransientError) -> None:
        """Make no calls for a while after a transient error, and for longer each time."""
        now = self._loop.time()
        if (
            now >= self._quiet_until
        ):  # of two calls that fail together only one makes the pause grow
            self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
            self._quiet_until = now + self._pause
            log.warning("%s No status calls for %.0f s.", error, self._pause)
        self._schedule.postpone(tickets, self._quiet_until)
        for ticket in tickets:
            for subscription in self._subscribers.get(ticket, ()):
                subscription.note_trouble(str(error), self._quiet_until)

    def _fail_all(self, error: BaseException) -> None:
        for subscription in set().union(*self._subscribers.values()):
            subscription.fail(error)
        self._subscribers.clear()
        self._schedule = TicketSchedule()


def _close(threads: ThreadPoolExecutor, client: IpernityClient | None) -> None:
    """Close behind the calls that are still under way, for which the event loop does not wait."""
    threads.shutdown(wait=True)
    if client:
        client.close()


_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, TicketPoller]] = (
    WeakKeyDictionary()
)


def _backlog() -> int:
    """Return for how many tickets the running event loop waits, on all connections together."""
    pollers = _POLLERS.get(asyncio.get_running_loop(), {})
    return sum(len(poller._subscribers) for poller in pollers.values())


def poller_of(conn_id: str, connect: Connect) -> TicketPoller:
    """Return the poller of a connection in the running event loop.

    If the last one has ended, it is a new one.
    """
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
