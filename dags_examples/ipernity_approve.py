"""Replace the file behind a document once a person has seen what would be replaced."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param

from ipernity_provider.operators.ipernity import ReplaceFileOperator

# Where the files of the examples are, unless the form says otherwise. The DAG processor's
# environment decides.
FOLDER = os.environ.get("IPERNITY_FOLDER", "/data/ipernity")

with DAG(
    "ipernity_approve",
    schedule=None,
    catchup=False,
    dag_display_name="ipernity: replace a file after approval",
    tags=["ipernity", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "document": Param("5412", type="string", title="Document"),
        "file": Param(f"{FOLDER}/boat.jpg", type="string", title="New file"),
    },
    doc_md="""
The task `plan` looks and sends nothing. `approve` waits for a person, who finds what would be
replaced under *Required Actions*. *Approve* lets `replace` go on; *Reject* skips it.
""",
) as dag:
    plan = ReplaceFileOperator(
        task_id="plan", doc_id="{{ params.document }}", file="{{ params.file }}", dry_run=True
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject="Replace the file of document {{ params.document }}?",
        body="""
{% set plan = ti.xcom_pull(task_ids="plan") -%}
{{ plan["reason"] }}

[The document as it is]({{ plan["url"] }})

New file: `{{ plan["filename"] }}`, {{ plan["bytes"] }} bytes
""",
        response_timeout=timedelta(days=7),
    )
    replace = ReplaceFileOperator(
        task_id="replace",
        doc_id="{{ params.document }}",
        file="{{ params.file }}",
        deferrable=True,
    )
    plan >> approve >> replace
