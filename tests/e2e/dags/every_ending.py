"""Replacements that end well and badly, over connections of every kind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.operators.ipernity import ReplaceFileOperator

with DAG("every_ending", schedule=None, catchup=False, params={"runs": [], "calls": []}) as dag:

    @task
    def runs(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["runs"])

    @task
    def call(params: dict[str, Any] | None = None) -> None:
        assert params is not None
        for conn_id in params["calls"]:
            IpernityHook(conn_id).call("api.methods.get", method="doc.get")

    call()
    ReplaceFileOperator.partial(
        task_id="replace", retries=0, execution_timeout=timedelta(minutes=5), poll_interval=1.0
    ).expand_kwargs(runs())
