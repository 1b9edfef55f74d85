"""Airflow reads our metadata at every start; a mistake there takes all of Airflow down."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points, metadata
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

from ipernity_provider import __version__
from ipernity_provider.get_provider_info import get_provider_info
from ipernity_provider.hooks.ipernity import IpernityHook
from scripts.rig import airflow_env

pytestmark = pytest.mark.socket

DISTRIBUTION = "airflow-provider-ipernity"


def test_the_package_name_is_the_canonical_name_of_the_distribution() -> None:
    canonical = re.sub(r"[-_.]+", "-", metadata(DISTRIBUTION)["Name"]).lower()
    assert get_provider_info()["package-name"] == canonical == DISTRIBUTION


def test_the_entry_point_leads_to_the_metadata() -> None:
    (entry,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.dist and entry.dist.name == DISTRIBUTION
    ]
    assert entry.load()() == get_provider_info()


def test_the_version_is_said_once() -> None:
    assert metadata(DISTRIBUTION)["Version"] == __version__


def dotted_paths(info: dict[str, Any]) -> Iterator[str]:
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in info.get(kind, []):
            yield from entry["python-modules"]
    for connection in info["connection-types"]:
        yield connection["hook-class-name"]
    yield from info["extra-links"]
    yield from info.get("cli", [])


@pytest.mark.parametrize("path", dotted_paths(get_provider_info()))
def test_each_dotted_path_can_be_imported(path: str) -> None:
    try:
        importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name)


def schema(name: str) -> dict[str, Any]:
    return dict(json.loads((Path(airflow.__file__).parent / name).read_text()))


def test_the_metadata_fits_airflows_schemas() -> None:
    info = get_provider_info()
    jsonschema.validate(info, schema("provider_info.schema.json"))
    # The schema above lets typos in the form's metadata pass; the one for Airflow's own providers
    # does not.
    strict = schema("provider.yaml.schema.json")
    fragment = {
        **strict["properties"]["connection-types"],
        "definitions": strict.get("definitions", {}),
    }
    jsonschema.validate(info["connection-types"], fragment)


def test_the_form_and_the_hook_agree() -> None:
    (connection,) = get_provider_info()["connection-types"]
    assert connection["connection-type"] == IpernityHook.conn_type
    assert connection["hook-name"] == IpernityHook.hook_name
    # Airflow masks stored extras by their names; and it needs a port to test a stored connection.
    secrets = [
        name
        for name, field in connection["conn-fields"].items()
        if field["schema"].get("format") == "password"
    ]
    assert all("token" in name or "secret" in name for name in secrets)
    assert "port" not in connection["ui-field-behaviour"]["hidden-fields"]


def test_airflow_lists_the_provider_and_its_connection_type(tmp_path: Path) -> None:
    env = airflow_env(tmp_path)
    providers = subprocess.run(
        ["airflow", "providers", "list", "-o", "json"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = {provider["package_name"]: provider for provider in json.loads(providers.stdout)}
    assert listed[DISTRIBUTION]["version"] == __version__


PARSE = """
import importlib, sys
import airflow.triggers.base
from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator
from airflow.sdk import Connection, ObjectStoragePath
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
heavy = {"requests", "urllib3", "oauthlib", "requests_oauthlib", "aiohttp", "tenacity", "PIL"}
print(sorted(heavy & (set(sys.modules) - before)))
"""


def modules_of(*kinds: str) -> list[str]:
    return [
        module
        for kind in kinds
        for entry in get_provider_info()[kind]
        for module in entry["python-modules"]
    ]


@pytest.mark.parametrize(
    "modules",
    [
        pytest.param(modules_of("hooks", "operators", "sensors"), id="what a DAG file imports"),
        # Not parsed with a DAG, but imported in the triggerer's event loop, where it holds up all
        # other triggers.
        pytest.param(modules_of("triggers"), id="trigger"),
    ],
)
def test_importing_loads_no_http_library(modules: list[str]) -> None:
    found = subprocess.run(
        [sys.executable, "-c", PARSE, *modules], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip().splitlines()[-1] == "[]"
