from __future__ import annotations

from typing import Any

from tests.sandbox.caller import Caller, jpeg, poll

NEW = jpeg("navy")


def plain_tickets(sandbox: Caller, count: int, first: float, last: float) -> list[str]:
    reply = sandbox.http.post(
        f"{sandbox.root}/_sandbox/tickets", json={"count": count, "ready_in": [first, last]}
    )
    return list(reply.json()["tickets"])


def state(sandbox: Caller, ticket: str) -> Any:
    return next(entry for entry in sandbox.control("tickets") if entry["ticket"] == ticket)


def test_one_call_reports_on_50_tickets_in_their_order(sandbox: Caller) -> None:
    ids = plain_tickets(sandbox, 50, 30, 60)[::-1]
    tickets = sandbox.get("upload.checkTickets", tickets=",".join(ids))["tickets"]
    assert list(tickets) == ["done", "invalid", "left", "eta", "count", "ticket"]
    assert (tickets["done"], tickets["left"], tickets["eta"], tickets["count"]) == (
        "0",
        "50",
        "60",
        "50",
    )
    assert [ticket["id"] for ticket in tickets["ticket"]] == ids


def test_more_than_50_tickets_are_refused(sandbox: Caller) -> None:
    ids = plain_tickets(sandbox, 51, 30, 60)
    assert sandbox.code(sandbox.get("upload.checkTickets", tickets=",".join(ids))) == "2"


def test_one_unknown_ticket_makes_the_call_fail(sandbox: Caller) -> None:
    ids = plain_tickets(sandbox, 2, 30, 60)
    assert sandbox.code(sandbox.get("upload.checkTickets", tickets=f"{ids[0]},404,{ids[1]}")) == "1"
    assert sandbox.code(sandbox.get("upload.checkTickets")) == "1"
    assert state(sandbox, ids[0])["checks"] == 0


def test_done_and_invalid_and_left_are_counted(sandbox: Caller) -> None:
    sandbox.change(invalid_next=1)
    invalid, done = sandbox.replace(NEW), sandbox.replace(NEW)
    sandbox.wait(invalid)
    sandbox.wait(done)
    (pending,) = plain_tickets(sandbox, 1, 30, 30)
    tickets = sandbox.get("upload.checkTickets", tickets=f"{invalid},{done},{pending}")["tickets"]
    assert [tickets[name] for name in ("done", "invalid", "left", "eta", "count")] == [
        "1",
        "1",
        "1",
        "30",
        "3",
    ]
    assert [ticket.get("doc_id") for ticket in tickets["ticket"]] == [None, "5412", None]


def test_tickets_without_uploads_become_done_one_after_the_other(sandbox: Caller) -> None:
    first, last = plain_tickets(sandbox, 2, 0.05, 60)
    assert sandbox.wait(first)["done"] == "1"
    assert sandbox.ticket(last)["done"] == "0"


def test_eta_seconds_is_reported_instead_of_the_true_time(sandbox: Caller) -> None:
    sandbox.change(eta_seconds=360, processing_seconds=0.1)
    ticket = sandbox.replace(NEW)
    assert sandbox.ticket(ticket)["eta"] == "360"
    assert sandbox.wait(ticket)["eta"] == "0"


def test_forgotten_tickets_are_unknown(sandbox: Caller) -> None:
    sandbox.change(forget_tickets_after_seconds=0.05)
    ticket = sandbox.replace(NEW)
    reply = poll(
        lambda: (
            (reply := sandbox.get("upload.checkTickets", tickets=ticket))["api"].get("code")
            and reply
        )
    )
    assert reply["api"]["code"] == "1"
    (pending,) = plain_tickets(sandbox, 1, 30, 30)
    assert sandbox.ticket(pending)["done"] == "0"


def test_checks_are_counted_also_after_the_end_was_reported(sandbox: Caller) -> None:
    (ticket,) = plain_tickets(sandbox, 1, 60, 60)
    sandbox.ticket(ticket)
    assert state(sandbox, ticket) == {
        "ticket": ticket,
        "doc_id": None,
        "state": "pending",
        "checks": 1,
        "checks_after_end": 0,
    }
    done = sandbox.replace(NEW)
    poll(lambda: state(sandbox, done)["state"] == "done")
    sandbox.ticket(done)
    assert (state(sandbox, done)["checks"], state(sandbox, done)["checks_after_end"]) == (1, 0)
    sandbox.ticket(done)
    assert (state(sandbox, done)["checks"], state(sandbox, done)["checks_after_end"]) == (2, 1)


def test_ten_thousand_tickets_are_made_at_once(sandbox: Caller) -> None:
    response = sandbox.http.post(
        f"{sandbox.root}/_sandbox/tickets", json={"count": 10_000, "ready_in": [60, 90]}
    )
    ids = response.json()["tickets"]
    assert len(set(ids)) == 10_000
    assert response.elapsed.total_seconds() < 2
    assert (
        sandbox.get("upload.checkTickets", tickets=",".join(ids[-50:]))["tickets"]["left"] == "50"
    )


def test_a_wrong_request_for_tickets_is_refused_with_a_sentence(sandbox: Caller) -> None:
    for body in ({}, {"count": 0, "ready_in": [0, 1]}, {"count": 1, "ready_in": [2, 1]}, [1]):
        response = sandbox.http.post(f"{sandbox.root}/_sandbox/tickets", json=body)
        assert response.status_code == 400
        assert response.text.endswith(".")


def test_what_is_pending_can_be_finished_at_once_and_what_comes_later_takes_its_time(
    sandbox: Caller,
) -> None:
    sandbox.change(processing_seconds=3600)
    upload, (plain,) = sandbox.replace(NEW), plain_tickets(sandbox, 1, 3600, 3600)
    finish = f"{sandbox.root}/_sandbox/tickets/finish"
    assert sandbox.http.post(finish, json={}).json() == {"finished": 2}
    poll(lambda: {state(sandbox, ticket)["state"] for ticket in (upload, plain)} == {"done"})
    later = sandbox.replace(NEW)
    assert state(sandbox, later)["state"] == "pending"
    assert sandbox.http.post(finish, json={}).json() == {"finished": 1}
    poll(lambda: state(sandbox, later)["state"] == "done")
    assert sandbox.http.post(finish, json={}).json() == {"finished": 0}
