"""The docker-compose.yaml of the documentation, as far as it can be checked without containers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import yaml
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf

from ipernity_provider.hooks.ipernity import IpernityHook
from scripts.rig import free_port, session_of, wait_for
from tests.conftest import API_KEY

COMPOSE = Path(__file__).parent.parent / "docs/docker-compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def test_it_follows_the_compose_specification() -> None:
    pytest.importorskip("check_jsonschema")
    schema = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(
        yaml.safe_load(COMPOSE.read_text())
    )


def test_only_this_machine_reaches_it(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["ports"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_airflow_knows_its_command_and_its_settings(services: dict[str, Any]) -> None:
    airflow = services["airflow"]
    get_parser().parse_args(airflow["command"])
    for name in airflow["environment"]:
        if found := re.fullmatch(r"AIRFLOW__([A-Z]+)__(\w+)", name):
            assert conf.has_option(found[1].lower(), found[2].lower()), name


def test_the_connection_is_one_to_the_sandbox(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = services["airflow"]["environment"]["AIRFLOW_CONN_IPERNITY_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", stored)
    settings = IpernityHook().settings
    assert settings.base_url == "http://sandbox:8765"
    assert settings.api_key == API_KEY
    assert "sandbox" in services["airflow"]["depends_on"]


@pytest.mark.socket
def test_the_sandbox_starts_is_healthy_and_answers_to_its_name(
    services: dict[str, Any], tmp_path: Path
) -> None:
    sandbox, port = services["sandbox"], str(free_port())
    *_, command = sandbox["command"]
    arguments = command.partition("exec python ")[2].replace("0.0.0.0", "127.0.0.1")
    started = [sys.executable, *arguments.replace("8765", port).split()]
    check = [word.replace("8765", port) for word in sandbox["healthcheck"]["test"]]
    assert check[:2] == ["CMD", "python"]
    with session_of(started, os.environ, tmp_path / "sandbox.log"):

        def healthy() -> bool:
            return not subprocess.run([sys.executable, *check[2:]], capture_output=True).returncode

        wait_for("a healthy sandbox", healthy, 30)
        page = f"http://127.0.0.1:{port}/_sandbox/settings"
        assert requests.get(page, headers={"Host": f"sandbox:{port}"}, timeout=10).ok
        assert requests.get(page, headers={"Host": f"other:{port}"}, timeout=10).status_code == 421
