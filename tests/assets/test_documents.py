"""The asset of a document has one form, however the document is named."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from airflow.sdk import Asset

from ipernity_provider.assets.ipernity import convert_asset_to_openlineage, ipernity_document

URI = "ipernity://www.ipernity.com/doc/5412"


@pytest.mark.parametrize(
    "document", ["5412", 5412, " 0005412 ", "https://www.ipernity.com/doc/1234/5412/in/album/99"]
)
def test_a_document_is_named_in_many_ways(document: str | int) -> None:
    asset = ipernity_document(document)
    assert (asset.name, asset.uri) == (URI, URI)


@pytest.mark.parametrize(
    "uri",
    [
        URI,
        f"{URI}/",
        "IPERNITY://WWW.ipernity.com/doc/5412",
        "ipernity://ipernity.com/doc/5412",
        "ipernity://www.ipernity.com/doc/1234/5412/in/album/99?lg=en#comments",
    ],
)
def test_airflow_normalises_the_uri_by_the_providers_handler(uri: str) -> None:
    assert Asset(uri=uri, name="mine").uri == URI


@pytest.mark.parametrize(
    "uri",
    ["ipernity://www.ipernity.com/album/99", "ipernity://example.org/doc/5412", "ipernity://5412"],
)
def test_what_is_not_a_document_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"is not a document\. Write ipernity://"):
        Asset(uri)


def test_a_document_that_is_not_one_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^The document is 'boat', which is not a document's"):
        ipernity_document("boat")


def test_openlineage_names_service_and_document() -> None:
    pytest.importorskip("airflow.providers.openlineage")
    dataset = convert_asset_to_openlineage(ipernity_document("5412"), None)
    assert (dataset.namespace, dataset.name) == ("ipernity://www.ipernity.com", "doc/5412")


def test_what_airflow_imports_for_every_asset_loads_nothing_else_of_this_package() -> None:
    code = (
        "import json, sys; import airflow.sdk; before = set(sys.modules);"
        "import ipernity_provider.assets.ipernity;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(found.stdout.splitlines()[-1])) <= {
        "ipernity_provider",
        "ipernity_provider.assets",
        "ipernity_provider.assets.ipernity",
    }
