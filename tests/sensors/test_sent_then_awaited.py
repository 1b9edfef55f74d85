"""Send in one task, wait in another: in each mode of the sensor, whatever was lost on the way."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.operators.ipernity import ReplaceFileOperator
from ipernity_provider.sensors.ipernity import TicketSensor
from tests.airflow_exceptions import AirflowFailException, AirflowRescheduleException, TaskDeferred
from tests.conftest import BOAT, Connect, Service
from tests.operators.test_operator import StateStore, context
from tests.replacement.support import run
from tests.sensors.test_sensor import FirstReschedule

MODES = ["poke", "reschedule", "deferrable"]


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect(resend_grace=1.0)


def send(picture: Path, **options: Any) -> dict[str, Any]:
    operator = ReplaceFileOperator(
        task_id="send", doc_id=BOAT, file=picture, wait_for_completion=False, **options
    )
    return operator.execute(context())


def wait_for(tickets: Any, mode: str) -> Any:
    """Run the sensor to its end, as Airflow does in this mode."""
    how = {"deferrable": True} if mode == "deferrable" else {"mode": mode}
    store = StateStore()
    while True:
        sensor = TicketSensor(task_id="wait", tickets=tickets, poke_interval=0.1, timeout=20, **how)
        there = context(ti=FirstReschedule(), task_state_store=store)
        try:
            return sensor.execute(there)
        except AirflowRescheduleException:
            continue
        except TaskDeferred as deferral:
            event = asyncio.run(first_event(deferral.trigger))
            return sensor.execute_complete(there, event)


async def first_event(trigger: Any) -> Any:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("the trigger ended without an event")


@pytest.mark.parametrize("mode", MODES)
def test_what_was_sent_leads_to_its_document(service: Service, picture: Path, mode: str) -> None:
    sent = send(picture)
    assert wait_for([sent], mode) == {sent["ticket"]: BOAT}
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ["result first", "ticket first"])
def test_a_ticket_that_is_listed_twice_keeps_the_stricter_expectation(
    service: Service, picture: Path, mode: str, order: str
) -> None:
    service.set(replace_mode="new_document")
    sent = send(picture)
    given = [sent, sent["ticket"]] if order == "result first" else [sent["ticket"], sent]
    with pytest.raises(AirflowFailException, match=rf"instead of {BOAT}"):
        wait_for(given, mode)
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_an_invalid_ticket_is_never_green(service: Service, picture: Path, mode: str) -> None:
    service.set(invalid_next=1)
    sent = send(picture)
    with pytest.raises(AirflowFailException, match=r"^Invalid: "):
        wait_for([sent], mode)


def test_a_lost_answer_that_hid_a_new_document_fails_the_task_that_sends(
    service: Service, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    service.fail("drop_after_accepting", "upload.replace")
    with pytest.raises(AirflowFailException, match="instead of replacing"):
        send(picture)
    assert len(service.ledger()) == 1


def test_what_is_found_without_a_ticket_is_proven_at_once(service: Service, picture: Path) -> None:
    service.fail("drop_after_accepting", "upload.replace")
    sent = send(picture)
    assert (sent["outcome"], sent["ticket"], sent["proof"]) == ("replaced", None, "md5")
    assert wait_for([sent], "poke") == {}
    assert len(service.ledger()) == 1


def test_a_service_that_rewrites_is_green_every_night_if_that_is_accepted(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    """Rewritten in the same way again, the document shows the checksum that it showed before.

    Without a memory, which would know that nothing has changed.
    """
    service.set(rewrite_bytes=True)
    for _night in range(3):
        assert run(client, picture, proof="changed").outcome == "replaced"
        time.sleep(1.1)  # the service tells the time of a replacement in whole seconds
    assert len(service.ledger()) == 3
