"""The tickets of a batch that the service still works on, each asked about at its own pace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ipernity_provider.api.client import MAX_TICKETS_PER_CALL
from ipernity_provider.api.models import Ticket
from ipernity_provider.api.pace import next_delay

# One failing call leaves the answers of those beside it unused: better few at a time.
_CALLS_TOGETHER = 4


@dataclass
class _Awaited:
    doc_id: str
    asked: float
    due: float
    looks: int = 0


@dataclass(frozen=True)
class Waiting:
    """Nothing is left to be sent, but the service still works.

    :param tickets: ticket -> the document that it should lead to.
    """

    tickets: dict[str, str | None]


class AwaitedTickets:
    """Which tickets to ask about next, in as few calls as possible.

    :param poll_interval: longest pause between two looks at a ticket, in seconds.
    :param now: seconds of a clock that nobody sets.
    """

    def __init__(self, poll_interval: float, now: Callable[[], float]) -> None:
        self._poll_interval = poll_interval
        self._now = now
        self._awaited: dict[str, _Awaited] = {}

    def __len__(self) -> int:
        return len(self._awaited)

    def add(self, ticket: str, doc_id: str, *, at_once: bool = False) -> None:
        """:param at_once: it was sent by an earlier try, and may have been ready for long."""
        now = self._now()
        delay = 0.0 if at_once else next_delay(0, None, self._poll_interval)
        self._awaited[ticket] = _Awaited(doc_id, now, now + delay)

    def documents(self) -> dict[str, str | None]:
        """Ticket -> the document that it should lead to."""
        return {ticket: awaited.doc_id for ticket, awaited in self._awaited.items()}

    def seconds_to_next(self) -> float | None:
        """Until the next look; None if nothing is awaited."""
        due = min((awaited.due for awaited in self._awaited.values()), default=None)
        return None if due is None else max(0.0, due - self._now())

    def next_batch(self) -> list[str]:
        """Those that are due, but no more than fit into a few calls; empty if none is due.

        The last call is filled up with those that are due soonest.
        """
        now = self._now()
        due = [ticket for ticket, awaited in self._awaited.items() if awaited.due <= now]
        due = due[: _CALLS_TOGETHER * MAX_TICKETS_PER_CALL]
        room = -len(due) % MAX_TICKETS_PER_CALL
        # Not before half of a pause is over: filling up must not turn a slow pace into a fast one.
        soon = [t for t, a in self._awaited.items() if a.due > now >= (a.asked + a.due) / 2]
        soon.sort(key=lambda ticket: self._awaited[ticket].due)
        return due + soon[:room] if due else []

    def note(self, states: Iterable[Ticket]) -> list[tuple[str, Ticket]]:
        """Take in the answers of one look. What is no longer pending is awaited no more.

        :return: the states, each with the document that was to be replaced.
        """
        now = self._now()
        noted = []
        for state in states:
            awaited = self._awaited[state.id]
            noted.append((awaited.doc_id, state))
            if state.pending:
                awaited.looks += 1
                awaited.asked = now
                awaited.due = now + next_delay(awaited.looks, state.eta, self._poll_interval)
            else:
                del self._awaited[state.id]
        return noted

    def put_off(self, tickets: Iterable[str], seconds: float) -> None:
        """The service could not say: the next look is later."""
        for ticket in tickets:
            self._awaited[ticket].due = self._now() + seconds
