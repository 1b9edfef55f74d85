from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.operators.ipernity import ReplaceFileOperator
from ipernity_provider.sensors.ipernity import TicketSensor
from tests.airflow_exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from tests.conftest import BOAT, Connect, Service
from tests.operators.test_operator import StateStore, context


def sensor(tickets: Any, **options: Any) -> TicketSensor:
    options = {"poke_interval": 0.1, "timeout": 20, **options}
    return TicketSensor(task_id="wait", tickets=tickets, **options)


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect()


def test_one_ticket_gives_its_document(service: Service) -> None:
    (ticket,) = service.make_tickets(1, (0.3, 0.3))
    result = sensor(ticket).execute(context())
    assert list(result) == [ticket]
    assert result[ticket].isdigit()


def test_120_tickets_make_three_calls_a_round_and_no_finished_ticket_is_asked_for_again(
    service: Service,
) -> None:
    tickets = service.make_tickets(120, (0.0, 1.5))
    waiting = sensor(tickets)
    there = context()
    first = waiting.poke(there)
    assert service.calls()["upload.checkTickets"] == 3
    assert not first.is_done
    assert set(waiting.execute(there)) == set(tickets)
    seen = service.tickets()
    assert max(ticket["checks"] for ticket in seen) > 1
    assert [ticket["checks_after_end"] for ticket in seen] == [0] * 120


def test_a_rescheduled_sensor_remembers_what_is_finished(service: Service) -> None:
    tickets = service.make_tickets(60, (0.0, 0.8))
    store = StateStore()
    rounds = 0
    while True:
        rounds += 1
        try:
            # A new object each time: between two rounds of a rescheduled sensor there is no
            # process.
            result = sensor(tickets, mode="reschedule").execute(
                context(ti=FirstReschedule(), task_state_store=store)
            )
        except AirflowRescheduleException as again:
            time.sleep(max(0.0, (again.reschedule_date - datetime.now(UTC)).total_seconds()))
            continue
        break
    assert set(result) == set(tickets)
    assert rounds > 1
    assert {ticket["checks_after_end"] for ticket in service.tickets()} == {0}


class FirstReschedule:
    def get_first_reschedule_date(self, _context: Any) -> None:
        return None


@pytest.mark.parametrize("soft_fail", [False, True])
def test_an_invalid_ticket_fails_at_once_and_is_named(
    service: Service, picture: Path, soft_fail: bool
) -> None:
    service.set(invalid_next=1)
    (pending,) = service.make_tickets(1, (60.0, 60.0))
    with service.client() as client:
        bad = client.upload_replace(BOAT, picture).ticket
    with pytest.raises(AirflowSkipException if soft_fail else AirflowFailException) as caught:
        sensor([pending, bad], soft_fail=soft_fail).execute(context())
    failure = caught.value.__cause__ if soft_fail else caught.value
    assert str(failure).startswith(
        f"Invalid: {bad}. The service accepted the file but could not use it"
    )


def test_an_unknown_ticket_fails_and_is_named(service: Service) -> None:
    known = service.make_tickets(3, (0.0, 0.0))
    with pytest.raises(AirflowFailException, match=r"Unknown to the service: 99-1\."):
        sensor([*known, "99-1"]).execute(context())


def test_from_whole_results_a_new_document_is_noticed(service: Service, picture: Path) -> None:
    service.set(replace_mode="new_document")
    sent = ReplaceFileOperator(
        task_id="replace", doc_id=BOAT, file=picture, wait_for_completion=False
    ).execute(context())
    with pytest.raises(
        AirflowFailException, match=rf"instead of {BOAT} \(ticket {sent['ticket']}\)"
    ):
        sensor([sent]).execute(context())


@pytest.mark.parametrize(
    "nothing", [None, [], [None], [{"outcome": "unchanged", "doc_id": BOAT, "ticket": None}]]
)
def test_where_nothing_was_sent_there_is_nothing_to_wait_for(
    service: Service, nothing: Any
) -> None:
    assert sensor(nothing).execute(context()) == {}
    assert service.calls() == {}


def test_a_time_limit_names_what_is_not_finished(service: Service) -> None:
    tickets = service.make_tickets(2, (0.0, 60.0))
    with pytest.raises(
        AirflowSensorTimeout, match=rf"timed out.*Not finished: {tickets[1]}\. The uploads are safe"
    ):
        sensor(tickets, timeout=timedelta(seconds=0.4)).execute(context())


def test_transient_errors_are_waited_out(service: Service) -> None:
    tickets = service.make_tickets(2, (0.0, 0.0))
    service.fail("code:503", "upload.checkTickets", times=5)
    assert set(sensor(tickets).execute(context())) == set(tickets)


def test_a_revoked_token_fails_at_once(service: Service) -> None:
    tickets = service.make_tickets(2, (60.0, 60.0))
    service.fail("code:107", "upload.checkTickets", times=9)
    with pytest.raises(AirflowFailException, match="Token invalid"):
        sensor(tickets).execute(context())
    assert service.calls()["upload.checkTickets"] == 1
