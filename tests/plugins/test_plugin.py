"""Airflow finds the view, once, and pays nothing for it where it is not shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.rig import airflow_env

pytestmark = pytest.mark.socket

LOAD = """
import sys
import airflow.plugins_manager, airflow.sdk.plugins_manager
from airflow.sdk import DAG, BaseOperator
before = set(sys.modules)
import ipernity_provider.plugins.plugin as plugin
plugin.IpernityPlugin.external_views
loaded = set(sys.modules) - before - {"ipernity_provider"}
print(sorted(name for name in loaded if not name.startswith("airflow.providers.common.compat")))
"""


def test_loading_it_imports_nothing_else() -> None:
    found = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == str(
        ["ipernity_provider.plugins", "ipernity_provider.plugins.plugin"]
    )


@pytest.mark.parametrize("lazy", ["True", "False"])
def test_airflow_lists_it_once_with_its_app(tmp_path: Path, lazy: str) -> None:
    env = airflow_env(tmp_path, AIRFLOW__CORE__LAZY_DISCOVER_PROVIDERS=lazy)
    listed = subprocess.run(
        ["airflow", "plugins", "-o", "json"], env=env, capture_output=True, text=True, check=True
    )
    start = listed.stdout.index("[{")  # log lines may come first
    (plugin,) = [one for one in json.loads(listed.stdout[start:]) if one["name"] == "ipernity"]
    assert "airflow-provider-ipernity" in plugin["source"]
    assert "ipernity replacements" in str(plugin["fastapi_apps"])
    for place in ("nav", "task_instance"):
        assert f"'destination': '{place}'" in str(plugin["external_views"]).replace('"', "'")
    assert "already registered" not in listed.stdout + listed.stderr
