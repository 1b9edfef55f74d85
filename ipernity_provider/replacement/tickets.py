"""Any number of tickets that are waited for together."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from ipernity_provider.api.errors import TicketNotFound
from ipernity_provider.api.models import Ticket, read_doc_id
from ipernity_provider.replacement.decisions import TicketMeaning, interpret_ticket
from ipernity_provider.replacement.errors import NewDocument, Refused, TicketInvalid
from ipernity_provider.replacement.schedule import next_poll_delay
from ipernity_provider.text import summarize

#: Documented are digits with a dash among them. No list that became text, and no two tickets in
#: one.
_TICKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]*", re.ASCII)
_LARGEST_FLOAT = 2**53

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


class Tickets:
    """What is known of each ticket, and when to check again.

    :param tickets: ticket -> the document that it should lead to; None where that is not known.
    :param finished: ticket -> the document it led to, as found in earlier rounds.
    :param rounds: how many those were.
    """

    def __init__(
        self,
        tickets: Mapping[str, str | None],
        finished: Mapping[str, str] | None = None,
        rounds: int = 0,
    ) -> None:
        self._expected = dict(tickets)
        self._finished = {
            ticket: doc_id for ticket, doc_id in (finished or {}).items() if ticket in tickets
        }
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
        by_meaning: dict[TicketMeaning, list[Ticket]] = {meaning: [] for meaning in TicketMeaning}
        for ticket in states:
            by_meaning[
                interpret_ticket(self._expected[ticket.id] or ticket.doc_id or "", ticket)
            ].append(ticket)
        for ticket in by_meaning[TicketMeaning.IN_PLACE]:
            self._finished[ticket.id] = ticket.doc_id or ""
        etas = [
            ticket.eta for ticket in by_meaning[TicketMeaning.PENDING] if ticket.eta is not None
        ]
        self._eta = min(etas, default=None)
        if invalid := by_meaning[TicketMeaning.INVALID]:
            raise TicketInvalid(
                f"Invalid: {_ids(invalid)}. The service accepted the file but could not use it; it"
                " gives no reason. Check that the file opens and is of the document's kind."
            )
        if forgotten := by_meaning[TicketMeaning.FORGOTTEN]:
            raise TicketNotFound(
                f"Unknown to the service: {_ids(forgotten)}. A ticket may be too old, mistyped, or"
                " of another account."
            )
        led_elsewhere = {t.id: t.doc_id for t in by_meaning[TicketMeaning.NEW_DOCUMENT]} | {
            ticket: doc_id  # as found in an earlier round, before it was known what to expect
            for ticket, doc_id in self._finished.items()
            if doc_id and self._expected[ticket] not in {None, doc_id}
        }
        if led_elsewhere:
            found = (
                f"{new} instead of {self._expected[id_]} (ticket {id_})"
                for id_, new in led_elsewhere.items()
            )
            raise NewDocument(
                f"The service created new documents instead of replacing: {summarize(found)}."
                " Nothing was deleted.",
                new_doc_id=str(next(iter(led_elsewhere.values()))),
            )

    def next_delay(self, poll_interval: float) -> float:
        """Return the seconds until the next round."""
        return next_poll_delay(max(0, self._rounds - 1), self._eta, poll_interval)


def _ids(tickets: Iterable[Ticket]) -> str:
    return summarize(ticket.id for ticket in tickets)


def read_tickets(given: Any) -> dict[str, str | None]:
    """Read what users pass for tickets.

    That is one ticket, many, results of the operator, and None where nothing was sent.

    :return: ticket -> the document that it should lead to, where that is known.
    :raises Refused: something is not a ticket, or one ticket should lead to two documents.
    """
    if given is None or isinstance(given, str | bytes | int | float | Mapping):
        given = [given]
    expected: dict[str, str | None] = {}
    for ticket, doc_id in map(_read_ticket, given):
        if ticket is None:
            continue
        known = expected.get(ticket)
        if known and doc_id and known != doc_id:
            raise Refused(
                f"Ticket {ticket} is listed for document {known} and for document {doc_id}; it can"
                " lead to one only. Give the outputs of ReplaceFileOperator as they are."
            )
        expected[ticket] = known or doc_id
    return expected


def _read_ticket(given: Any) -> tuple[str | None, str | None]:
    """Return a ticket and the document that it should lead to, as far as they are known."""
    if given is None:
        return None, None
    if isinstance(given, Mapping) and "ticket" in given:
        ticket, _ = _read_ticket(given["ticket"])
        try:
            return ticket, read_doc_id(given["doc_id"]) if ticket and given.get("doc_id") else None
        except ValueError as error:
            raise Refused(
                f"doc_id of a ticket {error}. Give the output of ReplaceFileOperator."
            ) from None
    # A template may have made a number of a ticket.
    whole = isinstance(given, float) and given.is_integer() and 0 < given < _LARGEST_FLOAT
    text = str(int(given) if whole else given).strip()
    if (
        (whole or isinstance(given, str | int))
        and not isinstance(given, bool)
        and _TICKET.fullmatch(text)
    ):
        return text, None
    raise Refused(
        f"{_brief.repr(given)} is not a ticket: give tickets such as 12345445-98829, or the output"
        " of ReplaceFileOperator."
    )
