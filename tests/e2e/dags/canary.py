"""Many replacements; the first goes ahead alone: if it makes a new document, no other is sent."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator

with DAG("canary", schedule=None, catchup=False, params={"pairs": []}) as dag:

    @task
    def pairs(
        start: int, stop: int | None, params: dict[str, Any] | None = None
    ) -> list[dict[str, str]]:
        assert params is not None
        return list(params["pairs"])[start:stop]

    def replace(task_id: str) -> Any:
        return ReplaceFileOperator.partial(task_id=task_id, poll_interval=0.5)

    first = replace("first").expand_kwargs(pairs(0, 1))
    first >> replace("rest").expand_kwargs(pairs(1, None))
