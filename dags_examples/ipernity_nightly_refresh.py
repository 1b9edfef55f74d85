"""Replace the files of many documents every night: what has changed is sent, by a manifest."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Param

from ipernity_provider.operators.ipernity import ReplaceFilesOperator

# Where the files of the examples are, unless the form says otherwise. The DAG processor's
# environment decides.
FOLDER = os.environ.get("IPERNITY_FOLDER", "/data/ipernity")

with DAG(
    "ipernity_nightly_refresh",
    schedule="0 3 * * *",
    catchup=False,
    is_paused_upon_creation=True,  # try it by hand first
    max_active_runs=1,
    dag_display_name="ipernity: nightly refresh",
    tags=["ipernity", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "manifest": Param(
            f"{FOLDER}/manifest.csv",
            type="string",
            title="Manifest",
            description=(
                "A CSV file with the columns doc_id and file; relative files lie beside it."
            ),
        ),
    },
    doc_md="""
Sends the files that have changed, two at a time, and proves each. An unchanged file costs one cheap
question, and waiting holds no worker slot. Before the first run, make the pool:
`airflow pools set ipernity_uploads 2 "Uploads to ipernity at a time"`.
""",
) as dag:
    ReplaceFilesOperator(
        task_id="replace",
        manifest="{{ params.manifest }}",
        pool="ipernity_uploads",
        deferrable=True,
    )
