"""Replacements whose documents are succeeded by new ones, of one and of many documents."""

from __future__ import annotations

from airflow.sdk import DAG

from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator

with DAG(
    "transferring",
    schedule=None,
    catchup=False,
    params={"document": "", "file": "", "rows": []},
    render_template_as_native_obj=True,
) as dag:
    one = ReplaceFileOperator(
        task_id="one",
        doc_id="{{ params.document }}",
        file="{{ params.file }}",
        on_new_document="transfer",
        deferrable=True,
        poll_interval=0.5,
        retries=0,
    )
    many = ReplaceFilesOperator(
        task_id="many",
        manifest="{{ params.rows }}",
        on_new_document="transfer",
        poll_interval=0.5,
        retries=0,
    )
    one >> many
