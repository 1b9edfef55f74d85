"""Asset events: one for each document that a task has changed.

Airflow sends an event for each asset among a task's outlets when the task succeeds, whatever the
task did. What counts are the outlets as the task leaves them. So a task that has changed nothing
takes its assets out of them, and one that has changed documents sends their events through an
alias, which need not name its assets beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetNameRef, AssetRef, AssetUriRef

from ipernity_provider.assets.ipernity import ANY_DOCUMENT, SCHEME, ipernity_document

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from ipernity_provider.assets.changes import Change

#: Airflow registers the events of a task one by one while the task waits to be called successful.
MOST_EVENTS = 500


def send_events(
    task: BaseOperator, context: Context, changes: Sequence[Change], summary: dict[str, Any]
) -> None:
    """Leave the outlets of a task so that Airflow sends the events that are due.

    :param changes: the documents that carry other bytes than before the task.
    :param summary: what other assets than documents get as extra.
    """
    events = cast("dict[str, Any]", context).get("outlet_events")
    if not changes or events is None:
        task.outlets = [outlet for outlet in task.outlets if not _is_asset(outlet)]
        return
    documents: dict[str, Asset | AssetRef] = {}
    aliases, others = [AssetAlias(ANY_DOCUMENT)], []
    for outlet in task.outlets:
        if isinstance(outlet, AssetAlias):
            aliases += [outlet] if outlet.name != ANY_DOCUMENT else []
        elif uri := _document_uri(outlet):
            documents[uri] = outlet  # its event comes through the alias
        else:
            others.append(outlet)
            if _is_asset(outlet):
                events[outlet].extra = summary
    for change in changes[:MOST_EVENTS]:
        asset = ipernity_document(change.doc_id)
        for alias in aliases:
            events[alias].add(documents.get(asset.uri, asset), extra=asdict(change))
    if len(changes) > MOST_EVENTS:
        task.log.warning(
            "%d documents changed; asset events were sent for the first %d.",
            len(changes),
            MOST_EVENTS,
        )
    task.outlets = [*others, *aliases]


def _is_asset(outlet: object) -> bool:
    """Return whether Airflow would send an event for an outlet by itself."""
    return isinstance(outlet, Asset | AssetRef)


def _document_uri(outlet: object) -> str:
    """Return the URI of a document among the outlets; empty for anything else."""
    uri = ""
    if isinstance(outlet, Asset | AssetUriRef):
        uri = outlet.uri
    elif isinstance(outlet, AssetNameRef):
        uri = outlet.name
    return uri if uri.startswith(f"{SCHEME}://") else ""
