"""Any number of tickets that are waited for together."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from ipernity_provider.api.doc_id import read_doc_id
from ipernity_provider.api.errors import TicketNotFound
from ipernity_provider.api.models import Ticket
from ipernity_provider.api.pace import next_delay
from ipernity_provider.replacement.order import NewDocument, Refused, TicketInvalid

_NAMED = 10
#: Documented are digits with a dash among them. No list that became text, and no two tickets in one.
_TICKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]*", re.ASCII)

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


class Tickets:
    """What is known of each ticket, and when to look again.

    :param tickets: ticket -> the document that it should lead to; None where that is not known.
    :param finished: ticket -> the document it led to, as found in earlier rounds.
    :param rounds: how many those were.
    """

    def __init__(
        self, tickets: Mapping[str, str | None], finished: Mapping[str, str] | None = None, rounds: int = 0
    ) -> None:
        self._expected = dict(tickets)
        self._finished = {ticket: doc_id for ticket, doc_id in (finished or {}).items() if ticket in tickets}
        self._rounds = rounds
        self._eta: int | None = None

    @property
    def pending(self) -> list[str]:
        return [ticket for ticket in self._expected if ticket not in self._finished]

    @property
    def expected(self) -> dict[str, str | None]:
        """The pending tickets, each with the document that it should lead to."""
        return {ticket: self._expected[ticket] for ticket in self.pending}

    @property
    def finished(self) -> dict[str, str]:
        return dict(self._finished)

    @property
    def rounds(self) -> int:
        return self._rounds

    def note(self, states: Iterable[Ticket]) -> None:
        """Take in the answers of one round.

        :raises TicketInvalid: the service could not use a file.
        :raises TicketNotFound: the service does not know a ticket.
        :raises NewDocument: a ticket has led to another document than expected.
        """
        self._rounds += 1
        by_state: dict[str, list[Ticket]] = {"pending": [], "done": [], "invalid": [], "unknown": []}
        for ticket in states:
            by_state[ticket.state].append(ticket)
        self._finished |= {ticket.id: ticket.doc_id or "" for ticket in by_state["done"]}
        self._eta = min(
            (ticket.eta for ticket in by_state["pending"] if ticket.eta is not None), default=None
        )
        if by_state["invalid"]:
            raise TicketInvalid(
                f"Invalid: {named(t.id for t in by_state['invalid'])}. The service took the file but could not use it; it "
                "gives no reason. Check that the file opens and is of the document's kind."
            )
        if by_state["unknown"]:
            raise TicketNotFound(
                f"Unknown to the service: {named(t.id for t in by_state['unknown'])}. A ticket may be too old, mistyped, or "
                "of another account."
            )
        self._require_expected()

    def _require_expected(self) -> None:
        strays = [
            f"{doc_id} instead of {self._expected[ticket]} (ticket {ticket})"
            for ticket, doc_id in self._finished.items()
            if doc_id and self._expected.get(ticket) not in {None, doc_id}
        ]
        if strays:
            raise NewDocument(
                f"The service made new documents instead of replacing: {named(strays)}. Nothing was deleted."
            )

    def next_delay(self, poll_interval: float) -> float:
        """Seconds until the next round."""
        return next_delay(self._rounds - 1, self._eta, poll_interval)


def read_tickets(given: Any) -> dict[str, str | None]:
    """What users pass for tickets: one, many, results of the operator, and None where nothing was sent.

    :return: ticket -> the document it should lead to, where that is known.
    :raises Refused: something is no ticket.
    """
    if given is None or isinstance(given, str | int | float | Mapping):
        given = [given]
    read = (_read(ticket) for ticket in given)
    return {ticket: doc_id for ticket, doc_id in read if ticket}


def _read(given: Any) -> tuple[str | None, str | None]:
    if given is None:
        return None, None
    if isinstance(given, Mapping) and "ticket" in given:
        ticket, _ = _read(given["ticket"])
        return ticket, _document(given["doc_id"]) if ticket and given.get("doc_id") else None
    whole = isinstance(given, float) and given.is_integer() and 0 < given < 2**53
    text = str(int(given) if whole else given).strip()
    if (whole or isinstance(given, str | int)) and not isinstance(given, bool) and _TICKET.fullmatch(text):
        return text, None
    raise Refused(
        f"{_brief.repr(given)} is not a ticket: give tickets such as 12345445-98829, or the output of ReplaceFileOperator."
    )


def _document(given: object) -> str:
    try:
        return read_doc_id(given)
    except ValueError as error:
        raise Refused(f"doc_id of a ticket {error}. Give the output of ReplaceFileOperator.") from None


def listed(items: Iterable[str]) -> str:
    """The first few of many, each on a line of its own."""
    all_items = list(items)
    more = [f"and {len(all_items) - _NAMED} more"] if len(all_items) > _NAMED else []
    return "\n".join([*all_items[:_NAMED], *more])


def named(items: Iterable[str]) -> str:
    """The first few of many, for a sentence."""
    all_items = list(items)
    more = f" and {len(all_items) - _NAMED} more" if len(all_items) > _NAMED else ""
    return ", ".join(all_items[:_NAMED]) + more
