"""What a DAG's author can write into a result: nothing of it may work in the view."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator

TAKE_OVER = "document.title='taken over'"
SCRIPT = f'<script>{TAKE_OVER}</script><img src=x onerror="{TAKE_OVER}">'

with DAG("private", schedule=None, catchup=False, params={"document": "", "file": ""}) as dag:

    @task
    def forged() -> dict[str, Any]:
        return {
            "outcome": "replaced",
            "doc_id": "5413",
            "new_doc_id": None,
            "filename": f"{SCRIPT}.jpg",
            "bytes": -5,
            "md5": SCRIPT,
            "ticket": SCRIPT,
            "proof": "md5",
            "url": f"javascript:{TAKE_OVER}",
            "backup": "/etc/passwd",
            "reason": f"A sentence with {SCRIPT} and \u202e\x1b[31m signs.",
        }

    @task
    def forged_report() -> dict[str, Any]:
        return {"total": 1, "replaced": 1, "bytes_sent": 1, "report": "/etc/hostname"}

    forged()
    forged_report()
    ReplaceFileOperator(
        task_id="replace", doc_id="{{ params.document }}", file="{{ params.file }}", retries=0
    )
