"""The two command lines: ``airflow ipernity`` and ``python -m ipernity_provider``."""

from __future__ import annotations

import ast
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ipernity_provider.__main__ import main
from ipernity_provider.cli import definition
from scripts.rig import connection_json
from tests.cli.commandline import COMMAND, environment, run
from tests.conftest import Service


def test_the_definition_loads_nothing_but_airflows_own() -> None:
    tree = ast.parse(Path(definition.__file__).read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert modules == ["__future__", "airflow.cli.cli_config"]
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))


def test_both_command_lines_print_the_same_and_nothing_else(
    service: Service, tmp_path: Path
) -> None:
    env = environment(tmp_path, AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url))
    ours = run({**env, "PYTHONWARNINGS": ""}, "check", "--json")
    airflows = subprocess.run(
        ["airflow", "ipernity", "check", "--json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ours.returncode, airflows.returncode) == (0, 0), airflows.stderr
    assert json.loads(airflows.stdout) == json.loads(ours.stdout)
    assert ours.stderr == ""


def test_the_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert {"authorize", "check", "sandbox"} <= set(capsys.readouterr().out.split())


def test_the_sandbox_starts_and_stops(tmp_path: Path) -> None:
    command = [*COMMAND, "sandbox", "--port", "0", "--settings", '{"is_pro": false}']
    with subprocess.Popen(
        command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ipernity sandbox ready: http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_the_sandbox_takes_the_options_of_its_own_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "ipernity_provider.sandbox", "--help"]
    own = subprocess.run(command, capture_output=True, text=True, check=True)
    with pytest.raises(SystemExit):
        main(["sandbox", "--help"])
    options = [
        set(re.findall(r"--[a-z-]+", text)) for text in (own.stdout, capsys.readouterr().out)
    ]
    assert options[0] == options[1] > {"--tls-cert"}
    refused = run(environment(tmp_path), "sandbox", "--tls-key", "key.pem")
    assert refused.returncode == 2
    assert "--tls-key needs --tls-cert" in refused.stderr


def test_a_sandbox_that_is_not_installed_is_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['aiohttp'] = None; "
        "import ipernity_provider.__main__ as m; m.main(['sandbox'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "The sandbox needs the package aiohttp: pip install 'airflow-provider-ipernity[sandbox]'.\n"
    )
