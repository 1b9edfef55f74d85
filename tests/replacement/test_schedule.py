"""When tickets are asked for: the time is a number here."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipernity_provider.replacement.schedule import (
    FIRST_DELAY,
    SHORTEST_DELAY,
    TICKETS_PER_CALL,
    TicketSchedule,
    next_poll_delay,
)


@pytest.mark.parametrize(
    ("attempts", "eta", "poll_interval", "delay"),
    [
        (0, None, 30.0, 2.0),
        (1, None, 30.0, 3.0),
        (20, None, 30.0, 30.0),
        (10**9, None, 1e300, 2.0 * 1.5**40),
        (20, 5.0, 30.0, 5.0),  # the ETA makes a check earlier,
        (0, 360.0, 30.0, 2.0),  # never later,
        (20, 0.0, 30.0, 2.0),  # and never immediate
        (20, -5.0, 30.0, 2.0),
        (0, None, 1.0, 1.0),
        (0, None, 0.0, SHORTEST_DELAY),
    ],
)
def test_delays(attempts: int, eta: float | None, poll_interval: float, delay: float) -> None:
    assert math.isclose(next_poll_delay(attempts, eta, poll_interval), delay)


def test_a_ticket_is_checked_at_its_pace() -> None:
    schedule = TicketSchedule()
    assert schedule.add("a", 30.0, now=100.0) == 100.0 + FIRST_DELAY
    assert schedule.next_call(101.9) == []
    assert schedule.next_call(102.0) == ["a"]
    assert schedule.next_call(200.0) == []  # it is being checked
    assert schedule.note_pending("a", None, 102.5) == 105.5
    assert schedule.next_due() == 105.5
    schedule.remove("a")
    assert schedule.next_due() is None
    assert schedule.note_pending("a", None, 106.0) is None


def test_who_has_less_patience_makes_the_next_check_earlier() -> None:
    schedule = TicketSchedule()
    schedule.add("a", 30.0, now=0.0, delay=20.0)
    assert schedule.add("a", 1.0, now=0.0) == 1.0
    assert schedule.next_call(1.0) == ["a"]
    assert schedule.note_pending("a", None, 1.0) == 2.0
    schedule.set_pace("a", 30.0)
    assert schedule.next_call(2.0) == ["a"]
    assert schedule.note_pending("a", None, 2.0) == 2.0 + 2.0 * 1.5**2


def test_a_call_is_filled_up_with_what_is_due_soon() -> None:
    schedule = TicketSchedule()
    schedule.add("due", 30.0, now=0.0, delay=10.0)
    schedule.add("soon", 30.0, now=0.0, delay=15.0)
    schedule.add("late", 30.0, now=9.0, delay=15.0)
    assert schedule.next_call(10.0) == ["due", "soon"]  # more than half of its pause is over
    assert schedule.next_call(24.0) == ["late"]


def test_what_cannot_be_asked_is_postponed() -> None:
    schedule = TicketSchedule()
    schedule.add("a", 30.0, now=0.0)
    schedule.postpone(schedule.next_call(2.0), until=12.0)
    assert schedule.next_call(11.0) == []
    assert schedule.next_call(12.0) == ["a"]


def test_a_call_has_at_most_50_tickets() -> None:
    schedule = TicketSchedule()
    for number in range(120):
        schedule.add(str(number), 30.0, now=0.0)
    calls = [schedule.next_call(2.0) for _ in range(4)]
    assert [len(call) for call in calls] == [TICKETS_PER_CALL, TICKETS_PER_CALL, 20, 0]
    assert len({ticket for call in calls for ticket in call}) == 120
    assert all(schedule.note_pending(ticket, None, 2.0) for call in calls for ticket in call)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["add", "check", "remove"])),
        max_size=40,
    )
)
def test_no_ticket_is_lost_and_none_is_checked_twice_at_once(steps: list[tuple[str, str]]) -> None:
    schedule, added, now = TicketSchedule(), set[str](), 0.0
    for ticket, step in steps:
        now += 0.7
        if step == "add":
            schedule.add(ticket, 5.0, now)
            added.add(ticket)
        elif step == "remove":
            schedule.remove(ticket)
            added.discard(ticket)
        else:
            call = schedule.next_call(now)
            assert len(set(call)) == len(call)
            for checked in call:
                schedule.note_pending(checked, None, now)
    asked: set[str] = set()
    while added - asked:
        due = schedule.next_due()
        assert due is not None
        call = schedule.next_call(due)
        asked |= set(call)
        for checked in call:
            schedule.note_pending(checked, None, due)
    assert asked == added
