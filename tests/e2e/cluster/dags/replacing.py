"""Replacements from object storage on a cluster, one document or one manifest a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator

SHARED: dict[str, Any] = {
    "poll_interval": 1.0,
    "retries": 5,
    "retry_delay": timedelta(seconds=1),
    "ipernity_conn_id": "ipernity_impatient",
}

for dag_id, deferrable in (("waits_in_worker", False), ("waits_in_triggerer", True)):
    with DAG(dag_id, schedule=None, catchup=False, params={"doc_id": "", "file": ""}):
        ReplaceFileOperator(
            task_id="replace",
            doc_id="{{ params.doc_id }}",
            file="{{ params.file }}",
            deferrable=deferrable,
            **SHARED,
        )

for dag_id, deferrable in (("batch", False), ("batch_in_triggerer", True)):
    with DAG(dag_id, schedule=None, catchup=False, params={"manifest": "", "report": ""}):
        ReplaceFilesOperator(
            task_id="replace",
            manifest="{{ params.manifest }}",
            report_to="{{ params.report }}",
            on_error="continue",
            deferrable=deferrable,
            **SHARED,
        )
