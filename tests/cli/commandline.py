"""Run the commands as a user does, and click on the consent page as an owner does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests

from ipernity_provider.__main__ import main
from scripts.rig import airflow_env
from tests.conftest import API_KEY, API_SECRET, SECRETS, Service

COMMAND = [sys.executable, "-m", "ipernity_provider"]


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a process with its own Airflow home and without a browser."""
    env = airflow_env(home, home) | variables
    for name in (
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "BROWSER",
        "IPERNITY_API_KEY",
        "IPERNITY_API_SECRET",
    ):
        if name not in variables:
            env.pop(name, None)
    return env


def with_key(home: Path, **variables: str) -> dict[str, str]:
    return environment(home, IPERNITY_API_KEY=API_KEY, IPERNITY_API_SECRET=API_SECRET, **variables)


def run(env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


class Command:
    """Runs a command in this process; a start of Airflow takes long."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._capsys.readouterr()
        exit_code: Any = 0
        try:
            main(arguments)
        except SystemExit as ended:
            exit_code = ended.code
        self.out, self.err = self._capsys.readouterr()
        assert_no_secret(self.out + self.err)
        return int(exit_code)


class Running:
    """A command that waits for the consent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.err = ""

    def consent_url(self) -> str:
        """Return the address that it prints."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.err += line
            if line.strip().startswith("http"):
                return line.strip()
        raise AssertionError(self.err)

    def end(self, typed: str = "") -> tuple[int, str, str]:
        """Type, and return the exit code, stdout and all of stderr."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        # Not communicate(), which misses what consent_url() has read ahead.
        with process.stdin as stdin:
            stdin.write(typed)
        out, self.err = process.stdout.read(), self.err + process.stderr.read()
        return process.wait(60), out, self.err


@contextmanager
def running(env: Mapping[str, str], *arguments: str) -> Iterator[Running]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*COMMAND, *arguments], env=dict(env), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


def click(url: str, **answer: str) -> requests.Response:
    """Open a consent page, send its form back, and follow the redirects."""
    page = requests.get(url, timeout=10)
    assert page.status_code == 200, page.text
    form = re.search(r'<form name="fa" method="post">(.*?)</form>', page.text, re.DOTALL)
    assert form is not None
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form[1])
    return requests.post(url, data={**{n: unescape(v) for n, v in inputs}, **answer}, timeout=10)


def issued_secrets(connection: Mapping[str, Any]) -> list[str]:
    extra = connection["extra"]
    return [
        connection["password"],
        *(extra[name] for name in ("token", "token_secret") if name in extra),
    ]


def without_address(text: str) -> str:
    """Return what was printed, without the consent address, which has to be shown."""
    return re.sub(r"^  http\S+$", "", text, flags=re.MULTILINE)


def assert_no_secret(text: str, *more: str) -> None:
    for secret in (*SECRETS, *more):
        assert secret not in text
    assert not re.search(r"api_sig|oauth_signature|frob=|Traceback", without_address(text))


def assert_one_line(text: str) -> None:
    assert text.endswith((".\n", "?\n")), text
    assert text.count("\n") == 1, text


def service_client_works(service: Service, printed: str) -> dict[str, Any]:
    """Use the printed connection to call the service, and return it."""
    connection: dict[str, Any] = json.loads(printed)
    extra = connection["extra"]
    assert connection["host"] == service.url
    keys = {name: extra[name] for name in ("auth", "token", "token_secret") if name in extra}
    with service.client(**{"token_secret": None, **keys}) as client:
        assert client.check_token().allows("doc", "write")
    return connection
