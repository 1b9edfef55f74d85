"""Replacements, and DAGs that run when a document has changed."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetAlias, task

from ipernity_provider.assets.ipernity import ANY_DOCUMENT, ipernity_document
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator

GALLERY = Asset("gallery", uri="x-test://gallery")


@task
def hear(triggering_asset_events: dict[Any, list[Any]] | None = None) -> list[dict[str, Any]]:
    return [
        {"asset": asset.name, **event.extra}
        for asset, events in (triggering_asset_events or {}).items()
        if isinstance(asset, Asset)  # an event that came through an alias stands there, too
        for event in events
    ]


with DAG("changes", schedule=None, params={"file": ""}) as one:
    ReplaceFileOperator(
        task_id="replace",
        doc_id="5412",
        file="{{ params.file }}",
        deferrable=True,
        poll_interval=1.0,
        outlets=[GALLERY],
    )

with DAG(
    "changes_many", schedule=None, params={"manifest": ""}, render_template_as_native_obj=True
) as many:
    ReplaceFilesOperator(
        task_id="replace",
        manifest="{{ params.manifest }}",
        deferrable=True,
        poll_interval=1.0,
        outlets=[GALLERY],
    )

with DAG("heard_document", schedule=[ipernity_document("5412")]) as heard_document:
    hear()

with DAG("heard_any", schedule=[AssetAlias(ANY_DOCUMENT)]) as heard_any:
    hear()

with DAG("heard_gallery", schedule=[GALLERY]) as heard_gallery:
    hear()
