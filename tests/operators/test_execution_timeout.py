"""A deferred task waits until its timeout or its execution_timeout, and says which it was."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Context

from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator
from ipernity_provider.replacement.errors import NotFinished
from ipernity_provider.sensors.ipernity import IpernityQuotaSensor, TicketSensor
from tests.airflow_exceptions import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from tests.conftest import BOAT, Connect, Service
from tests.operators.test_operator import TaskInstance, context

KINDS = ("file", "files", "tickets", "volume")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect()


class Started(TaskInstance):
    def __init__(self, seconds_ago: float) -> None:
        super().__init__()
        self.start_date = datetime.now(UTC) - timedelta(seconds=seconds_ago)


def make(kind: str, service: Service, picture: Path, **options: Any) -> Any:
    """A task that finds nothing finished when it first looks."""
    service.set(processing_seconds=600, quota_left_bytes=7 if kind == "volume" else None)
    options = {"task_id": "wait", "deferrable": True, **options}
    if kind == "file":
        return ReplaceFileOperator(doc_id=BOAT, file=picture, **options)
    if kind == "files":
        rows = [{"doc_id": BOAT, "file": str(picture)}]
        return ReplaceFilesOperator(manifest=rows, **options)
    if kind == "tickets":
        return TicketSensor(tickets=service.make_tickets(1, (600, 600)), **options)
    return IpernityQuotaSensor(min_bytes=1000, **options)


def deferred(task: Any, there: Context) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        task.execute(there)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "limit"),
    [(600, HOUR, "timeout"), (7200, HOUR, "execution_timeout"), (7200, None, "timeout")],
)
def test_the_deadline_is_the_earlier_of_both(
    service: Service, picture: Path, kind: str, timeout: float, execution_timeout: Any, limit: str
) -> None:
    there = context(ti=Started(seconds_ago=1000))
    task = make(kind, service, picture, timeout=timeout, execution_timeout=execution_timeout)
    deferral = deferred(task, there)
    arguments = deferral.trigger.serialize()[1]
    in_seconds = 2600 if limit == "execution_timeout" else timeout
    assert arguments["deadline"] == pytest.approx(time.time() + in_seconds, abs=10)
    assert arguments["state"]["deadline"]["limit"] == limit
    # Airflow's own limit comes a minute later: it is for a triggerer that is down.
    assert deferral.timeout is not None
    assert deferral.timeout.total_seconds() == pytest.approx(in_seconds + 60, abs=10)


def time_out(task: Any, there: Context, make_again: Any) -> Any:
    """Let the trigger wait until its deadline, and resume another object."""
    trigger = deferred(task, there).trigger

    async def first_event() -> Any:
        (event,) = [event async for event in trigger.run()]
        return event.payload

    event = json.loads(json.dumps(asyncio.run(first_event())))
    assert event["status"] == "timed_out"
    return make_again().resume_execution("execute_complete", {"event": event}, there)


@pytest.mark.parametrize(
    ("kind", "timeout_error", "execution_timeout_error"),
    [
        ("file", NotFinished, NotFinished),
        ("files", NotFinished, NotFinished),
        ("tickets", AirflowSensorTimeout, AirflowTaskTimeout),
        ("volume", AirflowSensorTimeout, AirflowTaskTimeout),
    ],
)
@pytest.mark.parametrize("by", ["timeout", "execution_timeout"])
def test_the_error_says_which_limit_it_was(
    service: Service,
    picture: Path,
    kind: str,
    timeout_error: Any,
    execution_timeout_error: Any,
    by: str,
) -> None:
    limits = {
        "timeout": 1.5 if by == "timeout" else 7200,
        "execution_timeout": HOUR if by == "timeout" else timedelta(seconds=1000.5),
    }

    def again() -> Any:
        return make(kind, service, picture, **limits)

    error = timeout_error if by == "timeout" else execution_timeout_error
    sentence = "the timeout of 1.5 s" if by == "timeout" else "the execution_timeout of 1000.5 s"
    with pytest.raises(error, match=sentence):
        time_out(again(), context(ti=Started(seconds_ago=999)), again)


@pytest.mark.parametrize("kind", ["tickets", "volume"])
@pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
def test_a_sensor_that_may_skip_does_so_at_either_limit(
    service: Service, picture: Path, kind: str, option: str
) -> None:
    def again() -> Any:
        limits = {"timeout": 7200, "execution_timeout": timedelta(seconds=1000.3)}
        return make(kind, service, picture, **limits, **{option: True})

    with pytest.raises(AirflowSkipException) as skipped:
        time_out(again(), context(ti=Started(seconds_ago=1000)), again)
    assert "the execution_timeout of 1000.3 s has passed" in str(skipped.value.__cause__)
