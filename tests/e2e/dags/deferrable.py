"""Replacements that wait in the triggerer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator

with DAG(
    "deferrable",
    schedule=None,
    catchup=False,
    max_active_tasks=256,
    params={"runs": [], "poll_interval": 5.0},
) as dag:

    @task
    def runs(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return [{**run, "poll_interval": params["poll_interval"]} for run in params["runs"]]

    ReplaceFileOperator.partial(
        task_id="replace",
        deferrable=True,
        # Kept in Airflow's database: a trigger reaches it by another way than one from the
        # environment.
        ipernity_conn_id="ipernity_stored",
        retries=2,
        retry_delay=timedelta(seconds=2),
        map_index_template="{{ task.doc_id }}",
    ).expand_kwargs(runs())
