"""Tasks that deferred under an older version, whose triggers knew no state, and resume now."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.errors import TransientError
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator
from ipernity_provider.replacement.errors import NotFinished
from ipernity_provider.sensors.ipernity import IpernityQuotaSensor, TicketSensor
from ipernity_provider.triggers.ipernity import TicketTrigger
from ipernity_provider.triggers.quota import QuotaTrigger
from tests.airflow_exceptions import AirflowSensorTimeout, TaskDeferred
from tests.conftest import BOAT, Connect, Service
from tests.operators.test_operator import context


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect()


def deferral(task: Any, there: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an older version stored of a deferral: its trigger's arguments, and the task's own."""
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(there)
    arguments = json.loads(json.dumps(deferred.value.trigger.serialize()[1]))
    return arguments, arguments.pop("state")


def entry_of(record: dict[str, Any]) -> dict[str, Any]:
    """The upload as an older version stored it."""
    shown = {name: record["before"][name] for name in ("md5", "bytes", "replaced_at")}
    same = (
        "doc_id",
        "filename",
        "bytes",
        "md5",
        "owner_id",
        "url",
        "backup",
        "ticket",
        "result_id",
    )
    return {
        **{name: record[name] for name in same},
        "before": {
            **shown,
            "asked_at": record["before"]["observed_at"],
            "title": "",
            "filename": "",
        },
        "twins": [],
        "run": record["intent"],
        "at": "2026-01-01T00:00:00Z",
        "alive_at": record["heartbeat_at"],
        "claim": None,
        "proven": None,
        "verified_by": None,
    }


def event_of(trigger: TicketTrigger | QuotaTrigger, *, with_state: bool) -> Any:
    """The event of this version's trigger, or of an older one that was still running."""

    async def first() -> Any:
        (event,) = [event async for event in trigger.run()]
        return event.payload

    event = json.loads(json.dumps(asyncio.run(first())))
    if not with_state:
        del event["state"]
    return event


@pytest.mark.parametrize("with_state", [False, True])
def test_a_replacement_takes_its_upload_from_the_keyword(
    service: Service, picture: Path, with_state: bool
) -> None:
    there = context()

    def task() -> ReplaceFileOperator:
        return ReplaceFileOperator(
            task_id="replace", doc_id=BOAT, file=picture, deferrable=True, poll_interval=0.1
        )

    arguments, state = deferral(task(), there)
    entry = entry_of(state["record"])
    event = event_of(TicketTrigger(**arguments), with_state=with_state)
    result = task().resume_execution("execute_complete", {"event": event, "entry": entry}, there)
    assert (result["outcome"], result["proof"]) == ("replaced", "md5")
    late = {"status": "timed_out", "tickets": []}
    with pytest.raises(NotFinished, match="within the timeout of 3600 s"):
        task().resume_execution("execute_complete", {"event": late, "entry": entry}, there)


def test_a_batch_takes_deadline_reason_and_trouble_from_the_keywords(
    service: Service, picture: Path
) -> None:
    there = context()
    service.set(processing_seconds=1.0)

    def task() -> ReplaceFilesOperator:
        rows = [{"doc_id": BOAT, "file": str(picture)}]
        return ReplaceFilesOperator(
            task_id="many", manifest=rows, deferrable=True, poll_interval=0.2
        )

    arguments, state = deferral(task(), there)
    event = event_of(TicketTrigger(**arguments), with_state=False)
    kwargs = {"deadline": state["deadline"]["at"], "stopped": "", "trouble": None}
    with pytest.raises(TransientError, match="unexpected event"):
        task().resume_execution("execute_complete", {"event": event}, there)
    result = task().resume_execution("execute_complete", {"event": event, **kwargs}, there)
    assert result["replaced"] == 1
    assert len(service.ledger()) == 1


def test_a_ticket_sensor_takes_what_is_finished_from_the_keyword(service: Service) -> None:
    done, slow = service.make_tickets(2, (0.0, 0.5))
    time.sleep(0.1)

    def task() -> TicketSensor:
        return TicketSensor(
            task_id="wait", tickets=[done, slow], deferrable=True, poke_interval=0.1
        )

    arguments, state = deferral(task(), context())
    assert set(state["finished"]) == {done}
    event = event_of(TicketTrigger(**arguments), with_state=False)
    with pytest.raises(TransientError, match="unexpected event"):
        task().resume_execution("execute_complete", {"event": event}, context())
    result = task().resume_execution(
        "execute_complete", {"event": event, "finished": state["finished"]}, context()
    )
    assert set(result) == {done, slow}


def test_a_quota_sensor_needs_no_more_than_what_is_left(service: Service) -> None:
    service.set(quota_left_bytes=7)

    def task() -> IpernityQuotaSensor:
        return IpernityQuotaSensor(
            task_id="volume", min_bytes=1000, deferrable=True, poke_interval=0.1, timeout=20
        )

    arguments, _ = deferral(task(), context())
    service.set(quota_left_bytes=1001)
    event = event_of(QuotaTrigger(**arguments), with_state=False)
    assert task().resume_execution("execute_complete", {"event": event}, context()) == 1001
    late = {"status": "timed_out", "left_bytes": 7}
    with pytest.raises(AirflowSensorTimeout, match=r"the timeout of 20 s has passed\. 7 bytes"):
        task().resume_execution("execute_complete", {"event": late}, context())
