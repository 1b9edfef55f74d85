"""Deferred or not, operator and sensor mean the same."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.sdk import Context

from ipernity_provider.api.errors import TransientError
from ipernity_provider.operators.ipernity import ReplaceFileOperator
from ipernity_provider.replacement.errors import NotFinished
from ipernity_provider.sensors.ipernity import TicketSensor
from ipernity_provider.triggers.ipernity import TicketTrigger
from scripts.rig import wait_for
from tests.airflow_exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from tests.conftest import BOAT, SECRETS, Connect, Service
from tests.operators.test_operator import context


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect(resend_grace=1.0)


def operator(file: Path, **options: Any) -> ReplaceFileOperator:
    options = {
        "doc_id": BOAT,
        "poll_interval": 0.1,
        "timeout": 20,
        "deferrable": True,
        **options,
    }
    return ReplaceFileOperator(task_id="replace", file=file, **options)


def sensor(tickets: Any, **options: Any) -> TicketSensor:
    options = {"poke_interval": 0.1, "timeout": 20, "deferrable": True, **options}
    return TicketSensor(task_id="wait", tickets=tickets, **options)


def run(make: Any, there: Context) -> Any:
    """What Airflow does: execute, run the trigger elsewhere, resume in a new process."""
    with pytest.raises(TaskDeferred) as deferred:
        make().execute(there)
    event = json.loads(json.dumps(asyncio.run(first_event(deferred.value))))
    assert not deferred.value.kwargs  # `airflow dags test` drops them
    assert not any(secret in json.dumps(event) for secret in SECRETS)
    return make().resume_execution(deferred.value.method_name, {"event": event}, there)


async def first_event(deferred: TaskDeferred) -> Any:
    path, kwargs = deferred.trigger.serialize()
    assert path.endswith(".TicketTrigger")
    trigger = TicketTrigger(**json.loads(json.dumps(kwargs)))
    (event,) = [event async for event in trigger.run()]
    return event.payload


def test_a_deferred_replacement_gives_the_result_of_one_that_waits(
    service: Service, picture: Path, other_picture: Path
) -> None:
    deferred = run(lambda: operator(picture), context())
    waited = operator(other_picture, deferrable=False).execute(context())
    assert (deferred["outcome"], deferred["proof"]) == ("replaced", "md5")
    assert list(deferred) == list(waited)
    assert {key for key in deferred if deferred[key] != waited[key]} == {
        "ticket",
        "filename",
        "md5",
        "reason",
    }
    assert len(service.ledger()) == 2


def test_the_first_look_may_spare_the_deferral(service: Service, picture: Path) -> None:
    there = context()
    sent = operator(picture, wait_for_completion=False).execute(there)
    until_done(service, sent["ticket"])
    assert operator(picture).execute(there)["outcome"] == "replaced"


def until_done(service: Service, ticket: str) -> None:
    with service.client() as client:
        wait_for(
            "the ticket", lambda: not client.check_tickets([ticket])[0].pending, 10, every=0.05
        )


def test_the_default_comes_from_airflows_configuration(picture: Path) -> None:
    assert ReplaceFileOperator(task_id="replace", doc_id=BOAT, file=picture).deferrable is False
    assert TicketSensor(task_id="wait", tickets=[]).deferrable is False


@pytest.mark.parametrize("timeout", [90, 90.0, timedelta(seconds=90)])
def test_a_time_limit_is_always_set_and_it_is_the_users(
    service: Service, picture: Path, timeout: Any
) -> None:
    service.set(processing_seconds=60)
    for task in (
        operator(picture, timeout=timeout),
        sensor(service.make_tickets(1, (60, 60)), timeout=timeout),
    ):
        with pytest.raises(TaskDeferred) as deferred:
            task.execute(context())
        kwargs = deferred.value.trigger.serialize()[1]
        assert kwargs["deadline"] == pytest.approx(time.time() + 90, abs=5)
        # Airflow's own limit comes a little later: it is for a triggerer that is down.
        assert deferred.value.timeout is not None
        assert deferred.value.timeout.total_seconds() == pytest.approx(150, abs=5)


def test_a_time_limit_that_passes_is_left_to_a_retry_which_does_not_send_again(
    service: Service, picture: Path
) -> None:
    service.set(processing_seconds=3)
    there = context()
    with pytest.raises(NotFinished, match="A retry continues to wait for it"):
        run(lambda: operator(picture, timeout=0.3), there)
    assert run(lambda: operator(picture), there)["outcome"] == "replaced"
    assert len(service.ledger()) == 1


def test_a_new_document_fails_the_resumed_task(service: Service, picture: Path) -> None:
    service.set(replace_mode="new_document")
    with pytest.raises(
        AirflowFailException, match=rf"instead of replacing the file of document {BOAT}"
    ):
        run(lambda: operator(picture), context())


def test_an_invalid_ticket_fails_the_resumed_task_and_does_not_stick_to_it(
    service: Service, picture: Path
) -> None:
    service.set(invalid_next=1)
    there = context()
    with pytest.raises(AirflowFailException, match="is invalid"):
        run(lambda: operator(picture), there)
    assert cast("Any", there)["task_state_store"] == {}


def test_a_cleared_task_sends_again_where_its_earlier_upload_ends_badly_while_it_is_deferred(
    service: Service, picture: Path
) -> None:
    service.set(processing_seconds=1.5, invalid_next=1)
    there = context()
    operator(picture, wait_for_completion=False).execute(there)
    cast("Any", there["ti"]).max_tries += 1  # as Airflow does when a task is cleared
    with pytest.raises(TaskDeferred) as deferred:
        operator(picture).execute(there)
    event = asyncio.run(first_event(deferred.value))
    with pytest.raises(TaskDeferred) as again:
        operator(picture).execute_complete(there, event)
    assert len(service.ledger()) == 2
    event = asyncio.run(first_event(again.value))
    assert operator(picture).execute_complete(there, event)["outcome"] == "replaced"
    assert len(service.ledger()) == 2


def test_a_permanent_error_while_waiting_fails_the_task_with_its_sentence(
    service: Service, picture: Path
) -> None:
    service.set(
        processing_seconds=60,
        # The first look, on the worker, is answered; the trigger's is not.
        faults=[
            {"method": "upload.checkTickets", "kind": "slow:0"},
            {"method": "upload.checkTickets", "times": 9, "kind": "code:107"},
        ],
    )
    with pytest.raises(AirflowFailException, match=r"Token invalid \(code 107\)"):
        run(lambda: operator(picture), context())


def test_a_resumed_task_does_not_need_its_file_any_more(service: Service, picture: Path) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator(picture).execute(context())
    event = asyncio.run(first_event(deferred.value))
    resumed = operator(Path())
    resumed.file = None  # type: ignore[assignment]  # as templates may render by then
    assert resumed.execute_complete(context(), event)["outcome"] == "replaced"


@pytest.mark.parametrize(
    "event",
    [
        None,
        {"status": "success"},
        {"status": "settled"},
        {"status": "settled", "tickets": [{"id": "1-2"}], "state": {"entry": {}}},
        {"status": "settled", "tickets": [], "state": "entry"},
        {"status": "settled", "tickets": []},
        {"status": "timed_out", "tickets": [], "state": {"entry": {"doc_id": "5412"}}},
    ],
)
def test_a_resumption_by_anything_else_does_not_pass_for_success(
    service: Service, picture: Path, event: Any
) -> None:
    with pytest.raises(TaskDeferred):
        operator(picture).execute(context())
    with pytest.raises(TransientError, match="unexpected event"):
        operator(picture).execute_complete(context(), event)


# -- the sensor ------------------------------------------------------------------------------------


def test_a_sensors_many_tickets_are_one_trigger(service: Service) -> None:
    tickets = service.make_tickets(120, (0.0, 1.0))
    result = run(lambda: sensor(tickets), context())
    assert set(result) == set(tickets)
    assert {ticket["checks_after_end"] for ticket in service.tickets()} == {0}


def test_a_sensor_with_nothing_left_to_wait_for_does_not_defer(service: Service) -> None:
    tickets = service.make_tickets(2, (0.0, 0.0))
    assert set(sensor(tickets).execute(context())) == set(tickets)
    assert sensor(None).execute(context()) == {}


def test_a_deferred_sensor_notices_a_new_document(service: Service, picture: Path) -> None:
    service.set(replace_mode="new_document")
    sent = operator(picture, wait_for_completion=False).execute(context())
    with pytest.raises(AirflowFailException, match=f"instead of {BOAT}"):
        run(lambda: sensor(sent), context())


def test_a_deferred_sensor_that_times_out_names_what_is_not_finished(service: Service) -> None:
    done, slow = service.make_tickets(2, (0.3, 60.0))
    with pytest.raises(
        AirflowSensorTimeout,
        match=(
            rf"timed out: the timeout of 1 s has passed\. Not finished: {slow}\. The uploads are "
            r"safe"
        ),
    ):
        run(lambda: sensor([done, slow], timeout=1), context())


def invalid_ticket(service: Service, picture: Path) -> str:
    service.set(invalid_next=1)
    with service.client() as client:
        bad = client.upload_replace(BOAT, picture).ticket
    assert bad is not None
    return bad


def test_soft_fail_skips_where_the_first_look_would_fail(service: Service, picture: Path) -> None:
    bad = invalid_ticket(service, picture)
    until_done(service, bad)
    with pytest.raises(AirflowSkipException):
        sensor(bad, soft_fail=True).execute(context())


def test_soft_fail_skips_where_the_resumed_task_would_fail(service: Service, picture: Path) -> None:
    bad = invalid_ticket(service, picture)
    with pytest.raises(AirflowSkipException):
        run(lambda: sensor(bad, soft_fail=True), context())


def test_soft_fail_skips_a_deferred_time_out(service: Service) -> None:
    with pytest.raises(AirflowSkipException):
        run(
            lambda: sensor(service.make_tickets(1, (60, 60)), timeout=0.5, soft_fail=True),
            context(),
        )
