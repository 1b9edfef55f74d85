"""Replace the files of thousands of documents in one task: a manifest in, a report out."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Param

from ipernity_provider.operators.ipernity import ReplaceFilesOperator
from ipernity_provider.sensors.ipernity import IpernityQuotaSensor

# Where the files of the examples are, unless the form says otherwise. The DAG processor's
# environment decides.
FOLDER = os.environ.get("IPERNITY_FOLDER", "/data/ipernity")

with DAG(
    "ipernity_replace_many",
    schedule="@monthly",  # each month brings a new upload volume
    catchup=False,
    is_paused_upon_creation=True,  # try it by hand first
    max_active_runs=1,
    dag_display_name="ipernity: replace many files",
    tags=["ipernity", "example"],
    default_args={"retries": 4, "retry_delay": timedelta(minutes=5)},
    params={
        "manifest": Param(
            f"{FOLDER}/manifest.csv",
            type="string",
            title="Manifest",
            description=(
                "CSV, JSON or JSON Lines with doc_id and file in each row; relative files lie"
                " beside it."
            ),
        ),
        "reports": Param(
            f"{FOLDER}/reports",
            type="string",
            title="Folder of the reports",
            description="Each run writes one: what became of each document, a JSON object a line.",
        ),
    },
    doc_md="""
Looks at every file and document first, then sends two files at a time and proves each; documents
that carry their file already cost one question. When the month's upload volume is used up it stops
cleanly, and the next month's run does the rest.
""",
) as dag:
    volume = IpernityQuotaSensor(task_id="volume", min_bytes=50_000_000, deferrable=True)

    replace = ReplaceFilesOperator(
        task_id="replace",
        manifest="{{ params.manifest }}",
        # The run's name, without the signs that not every storage takes.
        report_to="{{ params.reports }}/{{ run_id | replace(':', '') | replace('+', '_') }}.jsonl",
        on_error="continue",  # what cannot be replaced is in the report; the task is red for it
        deferrable=True,
    )

    volume >> replace
