"""Each class that can defer, once: for `airflow dags test`, where only the event is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator
from ipernity_provider.sensors.ipernity import IpernityQuotaSensor, TicketSensor

DEFERRED: dict[str, Any] = {"deferrable": True, "execution_timeout": timedelta(minutes=2)}

with DAG(
    "deferred_once",
    schedule=None,
    catchup=False,
    default_args={"retries": 0},
    params={
        "document": "",
        "file": "",
        "later_document": "",
        "later_file": "",
        "rows": [],
        "min_bytes": 0,
    },
    render_template_as_native_obj=True,
) as dag:
    volume = IpernityQuotaSensor(
        task_id="volume", min_bytes="{{ params.min_bytes }}", poke_interval=0.5, **DEFERRED
    )
    one = ReplaceFileOperator(
        task_id="one",
        doc_id="{{ params.document }}",
        file="{{ params.file }}",
        poll_interval=1.0,
        **DEFERRED,
    )
    many = ReplaceFilesOperator(
        task_id="many",
        manifest="{{ params.rows }}",
        poll_interval="1",
        on_error="continue",
        **DEFERRED,
    )
    sent = ReplaceFileOperator(
        task_id="sent",
        doc_id="{{ params.later_document }}",
        file="{{ params.later_file }}",
        wait_for_completion=False,
    )
    tickets = TicketSensor(task_id="tickets", tickets=sent.output, poke_interval=1.0, **DEFERRED)

    volume >> one >> many >> sent
