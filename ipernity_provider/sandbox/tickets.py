"""Tickets: what the service issues for an upload that it is still processing."""

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
    :param doc_id: the document to be replaced, later the one that the upload resulted in.
    :param checks: how often its state was requested.
    :param checks_after_end: how often it was requested after the answer that it had ended.
    """

    ticket: str
    ready_at: float
    doc_id: str | None = None
    state: TicketState = "pending"
    ended_at: float | None = None
    checks: int = 0
    checks_after_end: int = 0
    end_was_reported: bool = False

    def end(self, state: Literal["done", "invalid"], now: float, doc_id: str | None = None) -> None:
        self.state, self.ended_at = state, now
        self.doc_id = doc_id or self.doc_id

    def eta(self, now: float) -> int:
        """Return the whole seconds left, at least 1 while it is pending."""
        return max(1, math.ceil(self.ready_at - now)) if self.state == "pending" else 0

    def count_check(self) -> None:
        """Count one request for the state, which is answered with the present one."""
        self.checks += 1
        if self.end_was_reported:
            self.checks_after_end += 1
        self.end_was_reported = self.state != "pending"


@dataclass
class Tickets:
    """All tickets, in the order in which they were issued."""

    known: dict[str, Ticket] = field(default_factory=dict)
    issued: int = 0

    def for_new_document(self, ready_at: float) -> Ticket:
        """Issue a ticket of digits only, the documented form for ``upload.file``."""
        self.issued += 1
        ticket = Ticket(str(712000 + self.issued), ready_at)
        self.known[ticket.ticket] = ticket
        return ticket

    def for_replacement(self, doc_id: str, ready_at: float) -> Ticket:
        """Issue a ticket of digits, a dash and digits, the form for ``upload.replace``.

        No part of it is the document's id.
        """
        self.issued += 1
        name = f"{712000 + self.issued}-{98000 + self.issued % 1000}"
        ticket = Ticket(name, ready_at, doc_id)
        self.known[name] = ticket
        return ticket

    def find(
        self,
        ids: Iterable[str],
        now: float,
        forget_after: float | None,
    ) -> list[Ticket] | None:
        """Return the tickets with these ids, or None when one of them is unknown or forgotten."""
        found = []
        for ticket_id in ids:
            ticket = self.known.get(ticket_id)
            if ticket is None:
                return None
            age = -1.0 if ticket.ended_at is None else now - ticket.ended_at
            if forget_after is not None and age >= forget_after:
                return None
            found.append(ticket)
        return found
