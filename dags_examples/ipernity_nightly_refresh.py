"""Replace the files of many documents every night: a manifest, mapped over the operator."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator
from ipernity_provider.sensors.ipernity import TicketSensor

with DAG(
    "ipernity_nightly_refresh",
    schedule="0 3 * * *",
    catchup=False,
    max_active_runs=1,
    dag_display_name="ipernity: nightly refresh",
    tags=["ipernity", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "manifest": Param(
            "/data/ipernity/manifest.csv",
            type="string",
            title="Manifest",
            description="A CSV file with the columns doc_id and file; relative files lie beside it.",
        ),
    },
    doc_md="""
Sends the files that have changed, two at a time, and proves each. Waiting holds no worker slot, and all
waiting documents share their status calls, 50 a call. Unchanged files cost one cheap question each. Before the first run, make the pool:
`airflow pools set ipernity_uploads 2 "Uploads to ipernity at a time"`.
""",
) as dag:

    @task
    def read_manifest(path: str) -> list[dict[str, str]]:
        manifest = Path(path)
        with manifest.open(newline="", encoding="utf-8") as lines:
            return [
                {"doc_id": row["doc_id"], "file": str(manifest.parent / row["file"])}
                for row in csv.DictReader(lines)
            ]

    replace = ReplaceFileOperator.partial(
        task_id="replace",
        pool="ipernity_uploads",
        deferrable=True,
        map_index_template="{{ task.doc_id }}",
    ).expand_kwargs(read_manifest("{{ params.manifest }}"))

    # One sensor for all tickets: the service's own word on which document each upload has led to. With
    # wait_for_completion=False above, it would be the only one to wait, and nobody would prove the bytes.
    TicketSensor(task_id="all_processed", tickets=replace.output, deferrable=True, timeout=timedelta(hours=6))
