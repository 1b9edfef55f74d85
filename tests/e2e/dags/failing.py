"""Replacements that fail, each in its own way, and what is left of them for the tasks behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from airflow.sdk import DAG, task

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator

KEYS = ("reason", "new_doc_id", "url")

with DAG(
    "failing",
    schedule=None,
    catchup=False,
    params={"document": "", "file": "", "manifest": [], "report": ""},
    render_template_as_native_obj=True,
) as dag:
    replace = ReplaceFileOperator(
        task_id="replace",
        doc_id="{{ params.document }}",
        file="{{ params.file }}",
        deferrable=True,
        poll_interval=0.5,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )

    @task(trigger_rule="all_done")
    def look_behind(ti: Any = None) -> dict[str, Any]:
        return {key: ti.xcom_pull(task_ids="replace", key=key) for key in KEYS}

    batch = ReplaceFilesOperator(
        task_id="batch",
        manifest="{{ params.manifest }}",
        report_to="{{ params.report }}",
        on_error="continue",
        poll_interval=0.5,
    )

    @task(trigger_rule="all_done")
    def look_at_all(summary: dict[str, Any], report: str) -> dict[str, Any]:
        return {"summary": summary, "report": report}

    @task(retries=3)
    def call() -> None:
        IpernityHook().call("doc.get", doc_id="90000001")

    replace >> look_behind()
    look_at_all(cast("Any", batch.output), cast("Any", batch.output)["report"])
    call()
