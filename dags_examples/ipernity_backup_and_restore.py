"""Replace a file and keep its previous original, so that it can be restored.

Restoring is replacing with the backup.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, task

from ipernity_provider.airflow_compat import AirflowFailException
from ipernity_provider.operators.ipernity import ReplaceFileOperator

# Where the files of the examples are, unless the form says otherwise. The DAG processor's
# environment decides.
FOLDER = os.environ.get("IPERNITY_FOLDER", "/data/ipernity")
DEFAULTS = {"retries": 2, "retry_delay": timedelta(minutes=1)}
DOCUMENT = Param(
    "5413",
    type="string",
    title="Document",
    pattern=r"^\s*(\d+|https?://\S+/doc/[^/\s]+/\d+([/?#]\S*)?)\s*$",
    description="The address of its page, or the number in it.",
)
BACKUPS = Param(f"{FOLDER}/backups", type="string", title="Folder of the backups", pattern=r"\S")

with DAG(
    "ipernity_replace_with_backup",
    schedule=None,
    catchup=False,
    dag_display_name="ipernity: replace, with backup",
    tags=["ipernity", "example"],
    default_args=DEFAULTS,
    params={
        "document": DOCUMENT,
        "file": Param(f"{FOLDER}/mountains.jpg", type="string", title="New file", pattern=r"\S"),
        "backups": BACKUPS,
    },
    doc_md=(
        "Nothing is sent unless the previous original is safe; the result's `backup` names the"
        " file."
    ),
) as dag:
    ReplaceFileOperator(
        task_id="replace",
        doc_id="{{ params.document }}",
        file="{{ params.file }}",
        backup_to="{{ params.backups }}",
    )

with DAG(
    "ipernity_restore_backup",
    schedule=None,
    catchup=False,
    dag_display_name="ipernity: restore a backup",
    tags=["ipernity", "example"],
    default_args=DEFAULTS,
    params={"document": DOCUMENT, "backups": BACKUPS},
    doc_md=(
        "Puts the newest backup of a document back. An older one: replace the file with it, as with"
        " any other."
    ),
) as restore:

    @task
    def newest_backup(folder: str, document: str) -> str:
        """Return the file <document's number>-<md5>-<time>.<extension> with the latest time."""
        doc_id = re.sub(r".*/doc/[^/]+/|\D.*", "", document.strip()).lstrip("0")
        backups = Path(folder).glob(f"{doc_id}-*-*")
        newest = max(backups, key=lambda backup: backup.name.split("-")[2], default=None)
        if newest is None:
            raise AirflowFailException(
                f"{folder} holds no backup of document {doc_id}. Nothing was sent."
            )
        return str(newest)

    ReplaceFileOperator(
        task_id="restore",
        doc_id="{{ params.document }}",
        file=newest_backup("{{ params.backups }}", "{{ params.document }}"),
    )
