"""Replacements from object storage, each with its own file and connection to it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator

with DAG("object_storage", schedule=None, catchup=False, params={"runs": []}) as dag:

    @task
    def runs(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["runs"])

    ReplaceFileOperator.partial(
        task_id="replace",
        # The one that lets files come from anywhere.
        ipernity_conn_id="ipernity_stored",
        poll_interval=0.5,
        retries=0,
    ).expand_kwargs(runs())
