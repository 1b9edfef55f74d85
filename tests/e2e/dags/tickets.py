"""Replacements that nobody waits for but a sensor: one for the tickets of all, one for one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator
from ipernity_provider.sensors.ipernity import TicketSensor

with DAG("tickets", schedule=None, catchup=False, params={"runs": []}) as dag:

    @task
    def runs(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["runs"])

    replace = ReplaceFileOperator.partial(
        task_id="replace", wait_for_completion=False
    ).expand_kwargs(runs())
    TicketSensor(
        task_id="all_processed",
        tickets=replace.output,
        deferrable=True,
        timeout=timedelta(minutes=10),
    )

with DAG("awaited", schedule=None, catchup=False, params={"document": "", "file": ""}) as awaited:
    send = ReplaceFileOperator(
        task_id="send",
        doc_id="{{ params.document }}",
        file="{{ params.file }}",
        wait_for_completion=False,
    )
    TicketSensor(task_id="processed", tickets=send.output, deferrable=True, poke_interval=1.0)
