"""A document as an asset: ``ipernity://www.ipernity.com/doc/5412``.

Airflow imports this module wherever a DAG names an asset of any kind: it stays cheap to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset

SCHEME = "ipernity"
#: Through this alias the operators send their events. A DAG that has
#: ``AssetAlias(ANY_DOCUMENT)`` as its schedule runs after each change of any document.
ANY_DOCUMENT = "ipernity_documents"

_HOST = "www.ipernity.com"


def ipernity_document(document: str | int, extra: dict[str, Any] | None = None) -> Asset:
    """Return the asset of a document.

    Its name is its URI. The URI names the service, whichever address a connection has: a DAG that
    runs against the sandbox has the same assets.

    :param document: its number, e.g. ``5412``, or the address of its page.
    :param extra: what the asset itself says, see :class:`airflow.sdk.Asset`.
    :raises ValueError: it is neither.
    """
    from airflow.sdk import Asset

    from ipernity_provider.api.models import read_doc_id

    try:
        doc_id = read_doc_id(document)
    except ValueError as error:
        raise ValueError(f"The document {error}.") from None
    return Asset(f"{SCHEME}://{_HOST}/doc/{doc_id}", extra=extra)


def create_asset(*, doc_id: str | int, extra: dict[str, Any] | None = None) -> Asset:
    """Return the asset of a document, for Airflow's hook lineage collector."""
    return ipernity_document(doc_id, extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the URI of a document in its only form.

    Airflow calls this for each asset of the scheme ``ipernity``. The host may lack ``www``, and the
    path may be that of the document's page, ``/doc/<user>/5412/in/album/99``.

    :raises ValueError: it is not a document's.
    """
    from ipernity_provider.api.models import read_doc_id

    try:
        if uri.netloc.lower() not in {_HOST, _HOST.removeprefix("www.")}:
            raise ValueError
        parts = uri.path.split("/")
        doc_id = read_doc_id(
            parts[2] if len(parts) == 3 and parts[1] == "doc" else f"https://{_HOST}{uri.path}"
        )
    except ValueError:
        raise ValueError(
            f"{uri.geturl()!r} is not a document. Write {SCHEME}://{_HOST}/doc/5412, or use"
            " ipernity_document(5412)."
        ) from None
    return uri._replace(netloc=_HOST, path=f"/doc/{doc_id}", query="", fragment="")


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:  # noqa: ARG001
    """Return the dataset of a document, as OpenLineage names it."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, _, name = asset.uri.partition("/doc/")
    return Dataset(namespace=namespace, name=f"doc/{name}")
