"""Replace the file behind one document: press Trigger, name the document and the file."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Param

from ipernity_provider.operators.ipernity import ReplaceFileOperator

# Where the files of the examples are, unless the form says otherwise. The DAG processor's
# environment decides.
FOLDER = os.environ.get("IPERNITY_FOLDER", "/data/ipernity")

with DAG(
    "ipernity_replace_file",
    schedule=None,
    catchup=False,
    dag_display_name="ipernity: replace a file",
    tags=["ipernity", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "document": Param(
            "5412",
            type="string",
            title="Document",
            pattern=r"^\s*(\d+|https?://\S+/doc/[^/\s]+/\d+([/?#]\S*)?)\s*$",
            description=(
                "The address of its page, https://www.ipernity.com/doc/<user>/5412, or the number"
                " in it."
            ),
        ),
        "file": Param(
            f"{FOLDER}/boat.jpg",
            type="string",
            title="New file",
            pattern=r"\S",
            description=(
                "A path on the worker or an object storage URI; of the same kind (photo, video,"
                " ...) as before."
            ),
            examples=[f"{FOLDER}/boat.jpg", "s3://my_connection@my-bucket/boat.jpg"],
        ),
    },
    doc_md="""
Replaces the file behind a document on ipernity.com; its page, comments and links stay.
The task `replace` is green only when the document has been seen to carry the new file.
If the service makes a *new* document instead, the task fails and names both.
""",
) as dag:
    ReplaceFileOperator(
        task_id="replace",
        doc_id="{{ params.document }}",
        file="{{ params.file }}",
        deferrable=True,  # while the service works, no worker slot is held
    )
