"""The quota trigger in an event loop, against the real service."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ipernity_provider.api.errors import PermanentError, TransientError
from ipernity_provider.triggers import quota
from ipernity_provider.triggers.events import read_volume_event
from ipernity_provider.triggers.quota import QuotaTrigger
from tests.conftest import SECRETS, Connect, Service
from tests.sensors.test_quota_sensor import logged, next_month, telling_nothing
from tests.triggers.test_trigger import Event, gone, open_sockets

__all__ = ["logged", "telling_nothing"]

WANTED = 5_000_000
OTHER_TOKEN = "12345-000000000000"


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect()


def trigger(**options: Any) -> QuotaTrigger:
    return QuotaTrigger(
        min_bytes=options.pop("min_bytes", WANTED),
        ipernity_conn_id=options.pop("conn_id", "ipernity_default"),
        poll_interval=options.pop("poll_interval", 0.2),
        deadline=time.time() + options.pop("timeout", 20.0),
    )


async def fire(waiting: QuotaTrigger) -> Event:
    events = [event.payload async for event in waiting.run()]
    assert len(events) == 1
    return dict(json.loads(json.dumps(events[0])))


def run(*waiting: QuotaTrigger) -> list[Event]:
    async def together() -> list[Event]:
        events = list(await asyncio.gather(*map(fire, waiting)))
        await nothing_left(0)
        return events

    return asyncio.run(together())


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ipernity-quota")]


async def nothing_left(sockets: int) -> None:
    await gone("a thread", lambda: not threads())
    if sockets:
        await gone("an open socket", lambda: open_sockets() <= sockets)


def test_a_trigger_survives_being_stored() -> None:
    waiting = trigger()
    path, stored = waiting.serialize()
    assert path == "ipernity_provider.triggers.quota.QuotaTrigger"
    assert QuotaTrigger(**json.loads(json.dumps(stored))).serialize() == waiting.serialize()


def test_it_fires_once_when_the_next_month_has_come(service: Service) -> None:
    service.set(quota_left_bytes=WANTED - 1)
    month = next_month(service, 10**9)
    (event,) = run(trigger())
    month.join()
    assert read_volume_event(event)[:2] == (10**9, False)
    calls = service.calls()["account.getQuota"]
    time.sleep(0.5)
    assert service.calls() == {"account.getQuota": calls}


def test_it_looks_soon_whatever_the_interval(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A triggerer that was away for long, or restarts often, must not put the look off for ever."""
    monkeypatch.setattr(quota, "_FIRST_PAUSE", 0.5)
    service.set(quota_left_bytes=WANTED)
    started = time.monotonic()
    (event,) = run(trigger(poll_interval=3600.0))
    assert 0.5 <= time.monotonic() - started < 10
    assert read_volume_event(event)[:2] == (WANTED, False)
    assert service.calls() == {"account.getQuota": 1}


@pytest.mark.parametrize("left", [0, None])
def test_an_unlimited_volume_is_enough(
    service: Service, left: int | None, logged: Callable[[], str]
) -> None:
    service.set(unlimited=True, quota_left_bytes=left)
    (event,) = run(trigger())
    assert read_volume_event(event)[:2] == (max(WANTED, 10475274240 if left is None else 0), False)
    assert "The account's upload volume is unlimited" in logged()


def test_it_looks_a_last_time_at_the_deadline(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "_FIRST_PAUSE", 0.2)
    service.set(quota_left_bytes=WANTED - 1)
    month = next_month(service, WANTED, seconds=1.5)
    (event,) = run(trigger(poll_interval=3600.0, timeout=2.5))
    month.join()
    assert read_volume_event(event)[:2] == (WANTED, False)
    assert service.calls() == {"account.getQuota": 2}


def test_it_ends_at_its_deadline_and_says_what_was_left(
    service: Service, logged: Callable[[], str]
) -> None:
    service.set(quota_left_bytes=7)
    (event,) = run(trigger(timeout=0.7))
    assert read_volume_event(event)[:2] == (7, True)
    assert (
        "The time limit has come. 7 bytes of this month's upload volume are left, 5000000 are "
        "wanted."
    ) in logged()


@pytest.mark.parametrize("left", [7, WANTED])
def test_a_deadline_in_the_past_leaves_one_look(service: Service, left: int) -> None:
    service.set(quota_left_bytes=left)
    (event,) = run(trigger(timeout=-5.0))
    assert read_volume_event(event)[:2] == (left, left < WANTED)
    assert service.calls() == {"account.getQuota": 1}


def test_the_deadline_does_not_wait_for_a_slow_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "_LAST_LOOK_SECONDS", 0.2)
    service.set(quota_left_bytes=WANTED)
    service.fail("slow:2", "account.getQuota", times=9)

    async def with_deadline() -> float:
        started = time.monotonic()
        assert read_volume_event(await fire(trigger(timeout=0.7)))[:2] == (None, True)
        ended = time.monotonic()
        await nothing_left(0)
        return ended - started

    assert asyncio.run(with_deadline()) < 1.9  # the answer would take 2 s


@pytest.mark.parametrize(
    "kind", ["code:503", "code:113", "http:502", "html", "truncated", "drop_before_reading"]
)
def test_transient_errors_are_survived_and_logged(
    service: Service, kind: str, logged: Callable[[], str]
) -> None:
    service.set(quota_left_bytes=WANTED)
    service.fail(kind, "account.getQuota", times=2)
    (event,) = run(trigger())
    assert read_volume_event(event)[:2] == (WANTED, False)
    assert service.calls()["account.getQuota"] == 3
    assert logged().count("Still waiting.") == 2


def test_an_outage_makes_the_calls_rarer(service: Service) -> None:
    service.fail("code:501", "account.getQuota", times=99)
    (event,) = run(trigger(timeout=3.3))
    assert read_volume_event(event)[:2] == (None, True)
    # After 0.2, 0.4, 0.8 and 1.6 s, and at the deadline.
    assert service.calls() == {"account.getQuota": 5}


def test_a_permanent_error_ends_it_at_once(service: Service) -> None:
    service.fail("code:107", "account.getQuota", times=9)
    (event,) = run(trigger())
    with pytest.raises(PermanentError, match=r"Token invalid \(code 107\)") as caught:
        read_volume_event(event)
    assert (caught.value.method, caught.value.code) == ("account.getQuota", 107)
    assert service.calls() == {"account.getQuota": 1}


def test_a_service_that_does_not_say_what_is_left_ends_it_at_once(telling_nothing: str) -> None:
    (event,) = run(trigger(conn_id=telling_nothing))
    with pytest.raises(
        PermanentError, match="does not say how much of this month's upload volume is left"
    ):
        read_volume_event(event)


@pytest.mark.parametrize("wrong", [{"api_key": None}, {"timeout": "soon"}])
def test_a_wrong_connection_ends_it_with_a_sentence(
    service: Service, connect: Connect, wrong: dict[str, Any]
) -> None:
    connect("wrong", **wrong)
    (event,) = run(trigger(conn_id="wrong"))
    assert event["status"] == "failed"
    assert event["message"].startswith("Connection 'wrong': ")


def test_a_connection_that_does_not_exist_is_an_exception() -> None:
    with pytest.raises(Exception, match="not_there"):
        run(trigger(conn_id="not_there"))


def test_a_connection_that_is_changed_while_it_waits_is_used_from_the_next_look(
    service: Service, connect: Connect
) -> None:
    service.set(quota_left_bytes=WANTED)
    connect("changed", proxy="http://127.0.0.1:9")

    async def change() -> Event:
        waiting = asyncio.create_task(fire(trigger(conn_id="changed")))
        await asyncio.sleep(0.5)
        assert service.calls() == {}
        connect("changed", token=OTHER_TOKEN)
        return await waiting

    with pytest.raises(PermanentError, match="Token invalid"):
        read_volume_event(asyncio.run(change()))


def test_an_event_holds_no_secret(service: Service) -> None:
    service.fail("code:107", "account.getQuota")
    events = run(trigger())
    events += run(trigger(min_bytes=0))
    assert [event["status"] for event in events] == ["failed", "enough"]
    assert not any(secret in json.dumps(events) for secret in SECRETS)


def test_a_ticket_is_no_volume() -> None:
    with pytest.raises(TransientError, match="unexpected event"):
        read_volume_event({"status": "settled", "tickets": []})


def test_a_slow_service_does_not_hold_up_the_event_loop(service: Service) -> None:
    service.set(quota_left_bytes=WANTED)
    service.fail("slow:1.5", "account.getQuota", times=99)
    gaps: list[float] = []

    async def beat() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    async def with_heartbeat() -> None:
        heart = asyncio.create_task(beat())
        await asyncio.gather(*(fire(trigger()) for _ in range(5)))
        heart.cancel()

    asyncio.run(with_heartbeat())
    assert max(gaps) < 1.0  # a blocked loop would show the seconds of a call
    assert service.calls() == {"account.getQuota": 5}


@pytest.mark.parametrize(("fault", "after"), [("slow:0", 1.0), ("slow:2", 0.6)])
def test_a_cancelled_trigger_leaves_nothing_behind(
    service: Service, fault: str, after: float
) -> None:
    service.set(quota_left_bytes=0)
    service.fail(fault, "account.getQuota", times=99)

    async def cancel() -> int:
        sockets = open_sockets()
        waiting = [asyncio.create_task(fire(trigger())) for _ in range(5)]
        await asyncio.sleep(after)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert all(task.cancelled() for task in waiting)
        await nothing_left(sockets)
        calls = service.calls()["account.getQuota"]
        await asyncio.sleep(0.5)
        return service.calls()["account.getQuota"] - calls

    assert asyncio.run(cancel()) == 0


def test_between_two_looks_no_connection_is_held(service: Service) -> None:
    service.set(quota_left_bytes=0)

    async def in_between() -> None:
        sockets = open_sockets()
        waiting = asyncio.create_task(fire(trigger(poll_interval=2.0)))
        await asyncio.sleep(3.0)
        assert service.calls() == {"account.getQuota": 1}
        assert (open_sockets(), threads()) == (sockets, [])
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(in_between())
