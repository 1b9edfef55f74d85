"""A replacement that the service does not finish before the task's execution_timeout."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from ipernity_provider.operators.ipernity import ReplaceFileOperator

with DAG(
    "execution_timeout", schedule=None, catchup=False, params={"doc_id": "", "file": ""}
) as dag:
    ReplaceFileOperator(
        task_id="replace",
        doc_id="{{ params.doc_id }}",
        file="{{ params.file }}",
        deferrable=True,
        timeout=timedelta(hours=1),
        execution_timeout=timedelta(seconds=15),
        retries=0,
    )
