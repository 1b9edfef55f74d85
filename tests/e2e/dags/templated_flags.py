"""Flags and choices that a template or another task sets, also of mapped tasks."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator

with DAG(
    "templated_flags",
    schedule=None,
    catchup=False,
    default_args={"retries": 0},
    params={"pairs": [], "rehearse": False, "if_unchanged": "replace"},
) as dag:

    @task(task_id="rehearse")
    def rehearse(params: dict[str, Any] | None = None) -> bool:
        assert params is not None
        return bool(params["rehearse"])

    @task
    def mapped_pairs(params: dict[str, Any] | None = None) -> list[dict[str, str]]:
        assert params is not None
        return list(params["pairs"][1:])

    ReplaceFileOperator.partial(
        task_id="mapped",
        dry_run="{{ params.rehearse }}",
        if_unchanged="{{ params.if_unchanged }}",
        poll_interval="0.5",
    ).expand_kwargs(mapped_pairs())

    ReplaceFileOperator(
        task_id="by_xcom",
        doc_id="{{ params.pairs[0].doc_id }}",
        file="{{ params.pairs[0].file }}",
        dry_run=rehearse(),
        poll_interval=0.5,
    )
