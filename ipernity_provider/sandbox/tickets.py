"""Tickets: what the service hands out for an upload that it is still working on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

TicketState: TypeAlias = Literal["pending", "done", "invalid"]


@dataclass
class Ticket:
    """One upload in progress.

    :param ready_at: when it is expected to end, in seconds of the event loop's clock.
    :param doc_id: the document asked for (replace), later the one that came out.
    """

    ticket: str
    ready_at: float
    doc_id: str | None = None
    state: TicketState = "pending"
    ended_at: float | None = None
    asked: int = 0
    asked_after_told: int = 0
    told: bool = False

    def end(self, state: Literal["done", "invalid"], now: float, doc_id: str | None = None) -> None:
        self.state, self.ended_at = state, now
        self.doc_id = doc_id or self.doc_id

    def eta(self, now: float) -> int:
        """Whole seconds left, at least 1 while it is pending."""
        return max(1, math.ceil(self.ready_at - now)) if self.state == "pending" else 0

    def count_question(self) -> None:
        self.asked += 1
        if self.told:
            self.asked_after_told += 1
        self.told = self.state != "pending"


@dataclass
class Tickets:
    """All tickets, in the order in which they were handed out."""

    known: dict[str, Ticket] = field(default_factory=dict)
    issued: int = 0

    def for_new_document(self, ready_at: float) -> Ticket:
        """Digits alone, the form that ``upload.file`` is documented with."""
        return self._add(Ticket(str(self._next_number()), ready_at))

    def for_replacement(self, doc_id: str, ready_at: float) -> Ticket:
        """Digits, a dash, digits, the form of ``upload.replace``; no part of it is the document's id."""
        number = self._next_number()
        return self._add(Ticket(f"{number}-{98000 + number % 1000}", ready_at, doc_id))

    def find(self, ids: Iterable[str], now: float, forget_after: float | None) -> list[Ticket] | None:
        """The tickets with these ids, or None when only one of them is unknown or forgotten."""
        found = []
        for ticket_id in ids:
            ticket = self.known.get(ticket_id)
            if ticket is None or self._is_forgotten(ticket, now, forget_after):
                return None
            found.append(ticket)
        return found

    def _next_number(self) -> int:
        self.issued += 1
        return 712000 + self.issued

    def _add(self, ticket: Ticket) -> Ticket:
        self.known[ticket.ticket] = ticket
        return ticket

    @staticmethod
    def _is_forgotten(ticket: Ticket, now: float, forget_after: float | None) -> bool:
        return (
            forget_after is not None and ticket.ended_at is not None and now - ticket.ended_at >= forget_after
        )
