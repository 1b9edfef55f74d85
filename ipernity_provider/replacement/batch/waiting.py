"""The tickets of a batch that the service still works on, each asked about at its own pace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ipernity_provider.api.client import MAX_TICKETS_PER_CALL
from ipernity_provider.api.models import Ticket
from ipernity_provider.api.pace import next_delay


@dataclass
class _Awaited:
    doc_id: str
    asked: float
    due: float
    looks: int = 0


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
        """Those that are due, the last call filled up with those that are due soonest; empty if none is due."""
        now = self._now()
        due = [ticket for ticket, awaited in self._awaited.items() if awaited.due <= now]
        room = -len(due) % MAX_TICKETS_PER_CALL
        # Not before half of a pause is over: filling up must not turn a slow pace into a fast one.
        soon = [t for t, a in self._awaited.items() if a.due > now >= (a.asked + a.due) / 2]
        soon.sort(key=lambda ticket: self._awaited[ticket].due)
        return due + soon[:room] if due else []

    def note(self, states: Iterable[Ticket]) -> list[tuple[str, Ticket]]:
        """Take in the answers of one look.

        :return: what is no longer pending, with the documents that were to be replaced; it is awaited no more.
        """
        now = self._now()
        ended = []
        for state in states:
            awaited = self._awaited[state.id]
            if state.pending:
                awaited.looks += 1
                awaited.asked = now
                awaited.due = now + next_delay(awaited.looks, state.eta, self._poll_interval)
            else:
                ended.append((self._awaited.pop(state.id).doc_id, state))
        return ended

    def put_off(self, tickets: Iterable[str], seconds: float) -> None:
        """The service could not say: the next look is later."""
        for ticket in tickets:
            self._awaited[ticket].due = self._now() + seconds
