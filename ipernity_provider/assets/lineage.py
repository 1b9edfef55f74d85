"""Lineage: which file each document has its bytes from, for OpenLineage and Airflow's hook lineage.

The provider ``openlineage`` is optional: what needs it is imported where that provider asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ipernity_provider.assets.changes import Change
from ipernity_provider.assets.ipernity import convert_asset_to_openlineage, ipernity_document

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset


def report_to_hook_lineage(hook: Any, changes: Iterable[Change]) -> None:
    """Report files and documents to Airflow's hook lineage collector.

    It keeps 100 of each, and none where no plugin reads them.
    """
    try:
        lineage = import_module("airflow.sdk.lineage")
    except ImportError:  # Airflow 3.1
        lineage = import_module("airflow.lineage.hook")
    collector = lineage.get_hook_lineage_collector()
    for change in changes:
        collector.add_input_asset(hook, uri=change.file)
        collector.add_output_asset(hook, scheme="ipernity", asset_kwargs={"doc_id": change.doc_id})


def openlineage_of(changes: Iterable[Change]) -> OperatorLineage[Any, Any]:
    """Return the files as inputs and the documents as outputs of a task."""
    from airflow.providers.openlineage.extractors import OperatorLineage

    found = list(changes)
    return OperatorLineage(
        inputs=[_input(change) for change in found], outputs=[_output(change) for change in found]
    )


def _input(change: Change) -> InputDataset:
    from airflow.providers.common.compat.openlineage.facet import InputDataset

    parts = urlsplit(change.file)
    if parts.scheme == "file":
        return InputDataset(namespace="file", name=unquote(parts.path))
    # The path as it is: in a key of an object storage, ? and # are letters like others.
    _, _, key = change.file.partition("://")[2].partition("/")
    return InputDataset(namespace=f"{parts.scheme}://{parts.netloc}", name=key or "/")


def _output(change: Change) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import (
        dataset_version_dataset,
        lifecycle_state_change_dataset,
        output_statistics_output_dataset,
    )

    dataset = convert_asset_to_openlineage(ipernity_document(change.doc_id), None)
    overwrite = lifecycle_state_change_dataset.LifecycleStateChange.OVERWRITE
    facets: dict[str, Any] = {
        "lifecycleStateChange": lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(
            lifecycleStateChange=overwrite
        )
    }
    if change.md5_after:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
            datasetVersion=change.md5_after
        )
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        size=change.bytes
    )
    return OutputDataset(
        namespace=dataset.namespace,
        name=dataset.name,
        facets=facets,
        outputFacets={"outputStatistics": statistics},
    )
