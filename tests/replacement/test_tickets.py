"""Tickets that are waited for together: what users pass for them, and what their states mean."""

from __future__ import annotations

from typing import Any

import pytest

from ipernity_provider.api.errors import TicketNotFound
from ipernity_provider.api.models import Ticket
from ipernity_provider.replacement.errors import NewDocument, Refused, TicketInvalid
from ipernity_provider.replacement.tickets import Tickets, read_tickets


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("712311", {"712311": None}),
        (712311, {"712311": None}),
        (712311.0, {"712311": None}),
        ([712311.0, " 1-2\n"], {"712311": None, "1-2": None}),
        ({"doc_id": 5412.0, "ticket": "1-2"}, {"1-2": "5412"}),
        (["1", "2-3", None], {"1": None, "2-3": None}),
        (None, {}),
        ([], {}),
        ({"outcome": "sent", "doc_id": "5412", "ticket": "1-2"}, {"1-2": "5412"}),
        (
            [{"doc_id": "5412", "ticket": "1-2"}, {"doc_id": "5413", "ticket": None}],
            {"1-2": "5412"},
        ),
        (("1" for _ in range(2)), {"1": None}),
        # Listed twice, the stricter expectation counts, whichever comes first.
        (["1-2", {"doc_id": "5412", "ticket": "1-2"}, "1-2"], {"1-2": "5412"}),
        (
            [{"doc_id": "0005412", "ticket": "1-2"}, {"doc_id": 5412, "ticket": "1-2"}],
            {"1-2": "5412"},
        ),
    ],
)
def test_tickets_come_as_one_many_or_results(given: Any, read: dict[str, str | None]) -> None:
    assert read_tickets(given) == read


@pytest.mark.parametrize(
    "given",
    [
        "",
        "1,2",
        "['1-2']",
        "1-2 3-4",
        [""],
        [["1"]],
        {"no": "ticket"},
        1.5,
        1e300,
        float("nan"),
        True,
        [False],
        b"12",
    ],
)
def test_what_is_no_ticket_is_named(given: Any) -> None:
    with pytest.raises(Refused, match=r"is not a ticket: give tickets such as 12345445-98829"):
        read_tickets(given)


def test_one_ticket_for_two_documents_is_refused() -> None:
    with pytest.raises(
        Refused, match=r"^Ticket 1-2 is listed for document 5412 and for document 5413"
    ):
        read_tickets(
            [{"doc_id": "5412", "ticket": "1-2"}, "1-2", {"doc_id": "5413", "ticket": "1-2"}]
        )


def test_an_invalid_ticket_is_never_finished_whatever_it_says_of_a_document() -> None:
    tickets = Tickets({"a": "5412"})
    for _ in range(2):
        with pytest.raises(TicketInvalid, match="Invalid: a"):
            tickets.note([Ticket("a", "invalid", doc_id="5412")])
    assert tickets.pending == ["a"]


def test_what_an_earlier_round_found_is_judged_again() -> None:
    with pytest.raises(NewDocument, match=r"10001 instead of 5412 \(ticket a\)") as caught:
        Tickets({"a": "5412"}, finished={"a": "10001"}).note([])
    assert caught.value.new_doc_id == "10001"


def test_a_finished_ticket_is_not_pending_any_more() -> None:
    tickets = Tickets({"a": None, "b": None})
    tickets.note([Ticket("a", "done", doc_id="1"), Ticket("b", "pending", eta=5)])
    assert (tickets.pending, tickets.finished) == (["b"], {"a": "1"})
    assert tickets.next_delay(30.0) == 2.0


def test_an_invalid_ticket_is_named_and_what_is_finished_is_kept() -> None:
    tickets = Tickets({"a": None, "b": None})
    with pytest.raises(TicketInvalid, match="Invalid: b"):
        tickets.note([Ticket("a", "done", doc_id="1"), Ticket("b", "invalid")])
    assert tickets.finished == {"a": "1"}


def test_an_unknown_ticket_is_named() -> None:
    with pytest.raises(TicketNotFound, match="Unknown to the service: b"):
        Tickets({"b": None}).note([Ticket("b", "unknown")])


def test_many_names_are_shortened() -> None:
    names = [f"t{number}" for number in range(15)]
    with pytest.raises(TicketInvalid, match=r"t9 and 5 more\."):
        Tickets(dict.fromkeys(names)).note([Ticket(name, "invalid") for name in names])


def test_a_ticket_that_led_elsewhere_is_a_new_document() -> None:
    with pytest.raises(NewDocument, match=r"10001 instead of 5412 \(ticket a\)"):
        Tickets({"a": "5412"}).note([Ticket("a", "done", doc_id="10001")])
