"""Replace a file with a way back: the previous original is kept, and restoring is replacing with it."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from ipernity_provider.operators.ipernity import ReplaceFileOperator

DEFAULTS = {"retries": 2, "retry_delay": timedelta(minutes=1)}
DOCUMENT = Param(
    "5412",
    type="string",
    title="Document",
    pattern=r"^\s*(\d+|https?://\S+/doc/[^/\s]+/\d+([/?#]\S*)?)\s*$",
    description="The address of its page, or the number in it.",
)

with DAG(
    "ipernity_replace_with_backup",
    schedule=None,
    catchup=False,
    dag_display_name="ipernity: replace, with backup",
    tags=["ipernity", "example"],
    default_args=DEFAULTS,
    params={
        "document": DOCUMENT,
        "file": Param("/data/pictures/boat.jpg", type="string", title="New file", pattern=r"\S"),
        "backup_to": Param("/data/ipernity-backups", type="string", title="Folder for the previous original"),
    },
    doc_md="Nothing is sent unless the previous original is safe; the result's `backup` names the file.",
) as dag:
    ReplaceFileOperator(
        task_id="replace",
        doc_id="{{ params.document }}",
        file="{{ params.file }}",
        backup_to="{{ params.backup_to }}",
    )

with DAG(
    "ipernity_restore_backup",
    schedule=None,
    catchup=False,
    dag_display_name="ipernity: restore a backup",
    tags=["ipernity", "example"],
    default_args=DEFAULTS,
    params={
        "document": DOCUMENT,
        "backup": Param(
            "/data/ipernity-backups/5412-0123456789abcdef0123456789abcdef-20260101T030000Z.jpg",
            type="string",
            title="Backup",
            pattern=r"\S",
            description="Named by document, md5 of the original, and the time (UTC) at which it was replaced.",
        ),
    },
    doc_md="Puts a kept original back behind its document.",
) as restore:
    ReplaceFileOperator(task_id="restore", doc_id="{{ params.document }}", file="{{ params.backup }}")
