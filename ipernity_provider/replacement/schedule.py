"""When to ask for which tickets: pure, the time is given by the caller.

The worker, the batch, the triggerer's poller and the sensor all use it. It loads no HTTP library:
the triggerer imports it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

TICKETS_PER_CALL = 50
FIRST_DELAY = 2.0
GROWTH = 1.5
#: Whatever interval is asked for: the service must not be hammered.
SHORTEST_DELAY = 0.1


class Clock(Protocol):
    """Tells the time and waits, as the module :mod:`time`; tests bring their own."""

    def time(self) -> float:
        """Unix time in seconds, comparable between machines."""

    def monotonic(self) -> float:
        """Seconds of a clock that is never set."""

    def sleep(self, seconds: float, /) -> None: ...


def next_poll_delay(attempts: int, eta: float | None, poll_interval: float) -> float:
    """Return the seconds until the next check of a pending ticket.

    They grow from 2 s to ``poll_interval``; the check is never later than the ETA.

    The service's ETA is unreliable (360 s announced, 15 s needed), so it can only make a check
    earlier; and a pending ticket may have an ETA of 0, so it never makes one immediate.

    :param attempts: how often the ticket was checked already.
    :param eta: what the service announced, in seconds.
    """
    # Capped before the power: a ticket that waits for days must not overflow a float.
    grown = FIRST_DELAY * GROWTH ** min(attempts, 40)
    poll_interval = max(poll_interval, SHORTEST_DELAY)
    delay = min(grown, poll_interval)
    return delay if eta is None else min(delay, max(eta, min(FIRST_DELAY, poll_interval)))


@dataclass
class PendingTicket:
    """A ticket that is not finished.

    :param poll_interval: longest pause between two checks, in seconds.
    :param checked_at: time of the last check, or of the start.
    :param due_at: time of the next one; None while it is being checked.
    :param attempts: how often it was checked.
    """

    ticket: str
    poll_interval: float
    checked_at: float
    due_at: float | None
    attempts: int = 0


class TicketSchedule:
    """The pending tickets, each with its own pace, checked in as few calls as possible.

    All times are seconds of one clock of the caller, which never goes back.
    """

    def __init__(self) -> None:
        self._pending: dict[str, PendingTicket] = {}
        self._queue: list[tuple[float, int, PendingTicket]] = []
        self._sequence = count()

    def add(
        self, ticket: str, poll_interval: float, now: float, *, delay: float | None = None
    ) -> float:
        """Begin to check a ticket, or check a known one at a faster pace.

        :param delay: seconds until the first check; by default the shortest of the pace.
        :return: when it is checked next.
        """
        first = next_poll_delay(0, None, poll_interval) if delay is None else delay
        known = self._pending.get(ticket)
        if known is None:
            known = self._pending[ticket] = PendingTicket(ticket, poll_interval, now, None)
            self._plan(known, now + first)
        else:
            known.poll_interval = min(known.poll_interval, poll_interval)
            if known.due_at is not None and known.due_at > now + first:
                self._plan(known, now + first)
        return now + first if known.due_at is None else known.due_at

    def remove(self, ticket: str) -> None:
        self._pending.pop(ticket, None)

    def set_pace(self, ticket: str, poll_interval: float) -> None:
        """Change the longest pause of a ticket, from its next check on."""
        if pending := self._pending.get(ticket):
            pending.poll_interval = poll_interval

    def next_due(self) -> float | None:
        """Time of the next check; None if there is none to make."""
        while self._queue:
            due_at, _, pending = self._queue[0]
            if pending.due_at == due_at and self._pending.get(pending.ticket) is pending:
                return due_at
            heapq.heappop(self._queue)  # it was planned otherwise since
        return None

    def next_call(self, now: float, limit: int = TICKETS_PER_CALL) -> list[str]:
        """Return the tickets to check now, in one call; empty if none is due.

        The call is filled up with those that are due next, so that tickets come to be checked
        together. They count as being checked until :meth:`note_pending`, :meth:`postpone` or
        :meth:`remove`.
        """
        call: list[str] = []
        while len(call) < limit and (due := self.next_due()) is not None:
            pending = self._queue[0][2]
            # Not before half of its pause is over: filling up must not turn a slow pace into a fast
            # one.
            early = call and now >= (pending.checked_at + due) / 2
            if due > now and not early:
                break
            heapq.heappop(self._queue)
            pending.due_at = None
            call.append(pending.ticket)
        return call

    def note_pending(self, ticket: str, eta: float | None, now: float) -> float | None:
        """Note that a ticket is still pending at a check; return when it is checked next."""
        pending = self._pending.get(ticket)
        if pending is None:
            return None
        pending.checked_at = now
        pending.attempts += 1
        return self._plan(
            pending, now + next_poll_delay(pending.attempts, eta, pending.poll_interval)
        )

    def postpone(self, tickets: Iterable[str], until: float) -> None:
        """Check these tickets again at that time: the service could not be asked."""
        for ticket in tickets:
            if pending := self._pending.get(ticket):
                self._plan(pending, until)

    def _plan(self, pending: PendingTicket, due_at: float) -> float:
        pending.due_at = due_at
        heapq.heappush(self._queue, (due_at, next(self._sequence), pending))
        return due_at
