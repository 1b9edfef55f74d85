"""Triggers and their poller in one event loop; what counts is what the real service saw."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ipernity_provider.api.errors import PermanentError, TransientError
from ipernity_provider.triggers.events import read_event
from ipernity_provider.triggers.ipernity import TicketTrigger
from ipernity_provider.triggers.poller import _POLLERS
from tests.conftest import BOAT, SECRETS, Connect, Service

Event = dict[str, Any]
T = TypeVar("T")


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect()


def trigger(tickets: str | Iterable[str], **options: Any) -> TicketTrigger:
    tickets = [tickets] if isinstance(tickets, str) else tickets
    expected = options.pop("expected", None)
    return TicketTrigger(
        tickets=dict.fromkeys(tickets, expected),
        ipernity_conn_id=options.pop("conn_id", "ipernity_default"),
        poll_interval=options.pop("poll_interval", 0.2),
        deadline=time.time() + options.pop("timeout", 20.0),
    )


async def fire(waiting: TicketTrigger) -> Event:
    events = [event.payload async for event in waiting.run()]
    assert len(events) == 1
    return dict(events[0])


def run(*waiting: TicketTrigger) -> list[Event]:
    async def together() -> list[Event]:
        return list(await asyncio.gather(*map(fire, waiting)))

    return run_cleanly(together())


def run_cleanly(work: Coroutine[Any, Any, T]) -> T:
    """Run in an event loop of its own, at whose end nothing of the poller may be left."""

    async def watched() -> T:
        sockets = open_sockets()
        result = await work
        await gone("a running poller", lambda: not any(poller.running for poller in pollers()))
        await gone("a thread", lambda: not poller_threads())
        await gone("an open socket", lambda: open_sockets() <= sockets)
        return result

    return asyncio.run(watched())


async def gone(what: str, is_gone: Any) -> None:
    for _ in range(200):
        if is_gone():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} is left")


def pollers() -> list[Any]:
    return [*_POLLERS.get(asyncio.get_running_loop(), {}).values()]


def poller_threads() -> list[threading.Thread]:
    return [
        thread for thread in threading.enumerate() if thread.name.startswith("ipernity-tickets")
    ]


def open_sockets() -> int:
    links = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(fd.readlink()))
        except OSError:
            continue
    return sum(link.startswith("socket:") for link in links)


# -- one trigger -----------------------------------------------------------------------------------


def test_a_trigger_survives_being_stored() -> None:
    waiting = trigger(["1-2", "3"])
    path, stored = waiting.serialize()
    assert path == "ipernity_provider.triggers.ipernity.TicketTrigger"
    assert TicketTrigger(**json.loads(json.dumps(stored))).serialize() == waiting.serialize()


def test_it_fires_once_when_all_its_tickets_are_finished(service: Service) -> None:
    tickets = service.make_tickets(120, (0.0, 1.0))
    (event,) = run(trigger(tickets))
    states, timed_out, _ = read_event(json.loads(json.dumps(event)))
    assert not timed_out
    assert {(state.id, state.state) for state in states} == {(ticket, "done") for ticket in tickets}
    assert {ticket["checks_after_end"] for ticket in service.tickets()} == {0}


def test_it_fires_as_soon_as_one_ticket_is_invalid(service: Service, picture: Path) -> None:
    service.set(invalid_next=1)
    (slow,) = service.make_tickets(1, (60.0, 60.0))
    with service.client() as client:
        bad = client.upload_replace(BOAT, picture).ticket
    assert bad is not None
    (event,) = run(trigger([slow, bad]))
    states, timed_out, _ = read_event(event)
    assert [(state.id, state.state) for state in states] == [(bad, "invalid")]
    assert not timed_out


def test_it_fires_as_soon_as_a_ticket_has_led_to_another_document(
    service: Service, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    (slow,) = service.make_tickets(1, (60.0, 60.0))
    with service.client() as client:
        stray = client.upload_replace(BOAT, picture).ticket
    assert stray is not None
    (event,) = run(trigger([slow, stray], expected=BOAT))
    ((state,), *_) = read_event(event)
    assert (state.id, state.state) == (stray, "done")
    assert state.doc_id != BOAT


def test_an_unknown_ticket_is_told_apart_from_the_rest(service: Service) -> None:
    known = service.make_tickets(3, (0.5, 0.5))
    events = run(trigger("99-1"), *map(trigger, known))
    assert [read_event(event)[0][0].state for event in events] == [
        "unknown",
        "done",
        "done",
        "done",
    ]


def test_it_ends_at_its_deadline_and_says_what_was_finished(service: Service) -> None:
    done, slow = service.make_tickets(2, (0.0, 60.0))
    (event,) = run(trigger([done, slow], timeout=1.0))
    states, timed_out, _ = read_event(event)
    assert timed_out
    assert [state.id for state in states] == [done]


def test_a_deadline_in_the_past_ends_it_at_once(service: Service) -> None:
    (event,) = run(trigger(service.make_tickets(1, (60.0, 60.0)), timeout=-5.0))
    assert read_event(event) == ([], True, {})


@pytest.mark.parametrize("event", [None, "done", {}, {"status": "success"}, {"status": None}])
def test_what_is_no_event_of_ours_is_not_taken_for_a_good_one(event: Any) -> None:
    with pytest.raises(TransientError, match="unexpected event"):
        read_event(event)


def test_an_event_holds_no_secret(service: Service) -> None:
    service.fail("code:107", "upload.checkTickets")
    events = run(trigger(service.make_tickets(1, (0.0, 0.0))))
    events += run(trigger(service.make_tickets(1, (0.0, 0.0))))
    assert [event["status"] for event in events] == ["failed", "settled"]
    assert not any(secret in json.dumps(events) for secret in SECRETS)


# -- trouble ---------------------------------------------------------------------------------------


def test_a_permanent_error_fails_a_hundred_waiters_within_one_round(service: Service) -> None:
    tickets = service.make_tickets(100, (60.0, 60.0))
    service.fail("code:107", "upload.checkTickets", times=99)
    events = run(*map(trigger, tickets))
    for event in events:
        with pytest.raises(PermanentError, match=r"Token invalid \(code 107\)"):
            read_event(event)
    assert service.calls()["upload.checkTickets"] <= 2


@pytest.mark.parametrize(
    "kind", ["code:503", "code:113", "http:502", "html", "truncated", "drop_before_reading"]
)
def test_transient_errors_are_survived(
    service: Service, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipernity_provider.triggers.poller._FIRST_PAUSE", 0.1)
    tickets = service.make_tickets(60, (0.0, 0.0))
    service.fail(kind, "upload.checkTickets", times=3)
    events = run(*map(trigger, tickets))
    assert {event["status"] for event in events} == {"settled"}


def test_an_outage_makes_the_calls_rarer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipernity_provider.triggers.poller._FIRST_PAUSE", 0.2)
    tickets = service.make_tickets(200, (0.0, 0.0))
    service.fail("code:501", "upload.checkTickets", times=99)
    events = run(*(trigger(ticket, timeout=6.0) for ticket in tickets))
    assert {event["status"] for event in events} == {"timed_out"}
    # 0.2, 0.4, 0.8, 1.6 and 3.2 s of silence, with at most two calls after each.
    assert 0 < service.calls()["upload.checkTickets"] <= 12


@pytest.mark.parametrize("wrong", [{"api_key": None}, {"timeout": "soon"}])
def test_a_wrong_connection_fails_its_waiters_with_a_sentence(
    service: Service, connect: Connect, wrong: dict[str, Any]
) -> None:
    connect("wrong", **wrong)
    events = run(trigger("1", conn_id="wrong"), trigger("2", conn_id="wrong"))
    assert [event["status"] for event in events] == ["failed", "failed"]
    assert events[0]["message"].startswith("Connection 'wrong': ")


def test_a_connection_that_does_not_exist_is_an_exception_for_each_waiter() -> None:
    async def both() -> list[Any]:
        waiting = [fire(trigger(ticket, conn_id="not_there")) for ticket in ("1", "2")]
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert all("not_there" in str(error) for error in run_cleanly(both()))


# -- many triggers, few calls ----------------------------------------------------------------------


def test_a_thousand_triggers_make_twenty_calls_a_round(service: Service) -> None:
    tickets = service.make_tickets(1000, (4.5, 4.5))
    started = time.monotonic()
    events = run(*(trigger(ticket, poll_interval=2.0) for ticket in tickets))
    rounds = math.ceil((time.monotonic() - started) / 2.0)
    assert {event["status"] for event in events} == {"settled"}
    looks = sum(ticket["checks"] for ticket in service.tickets())
    calls = service.calls()
    assert calls.keys() == {"upload.checkTickets"}
    # How many rounds there are is up to the machine; that the calls are full ones, of 50 tickets,
    # is up to us.
    assert 1000 <= looks <= 50 * calls["upload.checkTickets"] <= 1.2 * looks
    assert calls["upload.checkTickets"] <= 20 * rounds


def test_triggers_that_start_at_different_times_come_to_share_their_calls(service: Service) -> None:
    tickets = service.make_tickets(50, (6.0, 6.0))

    async def one_after_the_other() -> None:
        async def later(number: int, ticket: str) -> None:
            await asyncio.sleep(number * 0.02)
            await fire(trigger(ticket, poll_interval=1.0))

        await asyncio.gather(*(later(number, ticket) for number, ticket in enumerate(tickets)))

    run_cleanly(one_after_the_other())
    # 50 tickets asked for singly would be 300 calls and more.
    assert service.calls()["upload.checkTickets"] <= 16


def test_two_triggers_of_one_ticket_ask_for_it_once(service: Service) -> None:
    (ticket,) = service.make_tickets(1, (0.0, 0.0))
    events = run(trigger(ticket), trigger(ticket))
    assert [event["status"] for event in events] == ["settled", "settled"]
    assert service.tickets()[0]["checks"] == 1


def test_who_joins_with_less_patience_is_served_in_time(service: Service) -> None:
    (ticket,) = service.make_tickets(1, (0.0, 0.0))

    async def both() -> float:
        patient = asyncio.create_task(fire(trigger(ticket, poll_interval=60.0)))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await fire(trigger(ticket, poll_interval=0.2))
        await patient
        return time.monotonic() - started

    assert run_cleanly(both()) < 1.5  # the patient one looks after 2 s


def test_a_slow_service_does_not_hold_up_the_event_loop(service: Service) -> None:
    tickets = service.make_tickets(150, (0.0, 0.0))
    service.fail("slow:2", "upload.checkTickets", times=99)
    gaps: list[float] = []

    async def beat() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    async def with_heartbeat() -> None:
        heart = asyncio.create_task(beat())
        await asyncio.gather(*(fire(trigger(ticket)) for ticket in tickets))
        heart.cancel()

    run_cleanly(with_heartbeat())
    assert max(gaps) < 1.0  # a blocked loop would show the two seconds of a call
    assert service.calls()["upload.checkTickets"] == 3


# -- coming and going ------------------------------------------------------------------------------


def test_a_cancelled_trigger_leaves_nothing_behind(service: Service) -> None:
    tickets = service.make_tickets(100, (60.0, 60.0))

    async def cancel_in_mid_wait() -> None:
        waiting = [asyncio.create_task(fire(trigger(ticket))) for ticket in tickets]
        await asyncio.sleep(1.0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run_cleanly(cancel_in_mid_wait())
    assert service.calls()["upload.checkTickets"] >= 2


def test_a_trigger_cancelled_during_a_slow_call_leaves_nothing_behind(service: Service) -> None:
    (ticket,) = service.make_tickets(1, (60.0, 60.0))
    service.fail("slow:2", "upload.checkTickets", times=9)

    async def cancel_in_mid_call() -> None:
        waiting = asyncio.create_task(fire(trigger(ticket)))
        await asyncio.sleep(0.7)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    run_cleanly(cancel_in_mid_call())


def test_one_cancelled_trigger_does_not_disturb_the_others(service: Service) -> None:
    tickets = service.make_tickets(3, (1.0, 1.0))

    async def cancel_one() -> list[Event]:
        first, *others = (
            asyncio.create_task(fire(trigger(ticket))) for ticket in [tickets[0], *tickets]
        )
        await asyncio.sleep(0.5)
        first.cancel()
        return list(await asyncio.gather(*others))

    assert [event["status"] for event in run_cleanly(cancel_one())] == ["settled"] * 3


def test_a_poller_that_dies_leaves_nobody_waiting_for_ever(service: Service) -> None:
    tickets = service.make_tickets(2, (60.0, 60.0))

    async def kill_the_poller() -> list[Any]:
        waiting = [asyncio.create_task(fire(trigger(ticket))) for ticket in tickets]
        await asyncio.sleep(0.5)
        (poller,) = pollers()
        poller._task.cancel()
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    assert [str(error) for error in run_cleanly(kill_the_poller())] == [
        "The ticket poller was cancelled."
    ] * 2


def test_each_event_loop_and_each_connection_has_a_poller_of_its_own(
    service: Service, connect: Connect
) -> None:
    connect("second")
    for _ in range(2):
        first, second = service.make_tickets(2, (0.0, 0.0))
        events = run(trigger(first), trigger(second, conn_id="second"))
        assert [event["status"] for event in events] == ["settled", "settled"]
    assert service.calls()["upload.checkTickets"] == 4


def test_a_poller_that_has_ended_is_followed_by_a_new_one(service: Service) -> None:
    async def twice() -> None:
        for ticket in service.make_tickets(2, (0.0, 0.0)):
            assert (await fire(trigger(ticket)))["status"] == "settled"
            await gone("a running poller", lambda: not any(poller.running for poller in pollers()))

    run_cleanly(twice())
