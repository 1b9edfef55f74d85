"""Many replacements in one task, by a manifest."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from ipernity_provider.operators.ipernity import ReplaceFilesOperator

with DAG(
    "batch",
    schedule=None,
    catchup=False,
    params={"manifest": "", "report": ""},
    render_template_as_native_obj=True,
) as dag:
    ReplaceFilesOperator(
        task_id="replace",
        manifest="{{ params.manifest }}",
        report_to="{{ params.report }}",
        on_error="continue",
        deferrable=True,
        poll_interval=1.0,
        ipernity_conn_id="ipernity_impatient",
        retries=4,
        retry_delay=timedelta(seconds=1),
    )
