"""The sandbox as a child process, for tests and for a user's own CI."""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404  # it starts our own interpreter alone
import sys
import threading
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any

from ipernity_provider.sandbox.credentials import API_KEY, API_SECRET, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

READY = "ipernity sandbox ready: "


class SandboxDidNotStart(RuntimeError):
    """The server ended, or was not ready in time; the message is what it wrote on stderr."""


class RunningSandbox(str):
    """A running sandbox: the text is its root address."""

    __slots__ = ()

    @property
    def url(self) -> str:
        """The root address, for example ``http://127.0.0.1:8765``."""
        return str(self)

    @property
    def credentials(self) -> dict[str, str]:
        """The members ``api_key``, ``api_secret`` and ``token`` of the account."""
        return {"api_key": API_KEY, "api_secret": API_SECRET, "token": TOKEN}

    @property
    def connection(self) -> str:
        """An Airflow connection as JSON, for ``AIRFLOW_CONN_IPERNITY_DEFAULT``."""
        return json.dumps(
            {
                "conn_type": "ipernity",
                "host": self.url,
                "port": 0,
                "password": API_SECRET,
                "extra": {"api_key": API_KEY, "token": TOKEN},
            }
        )


@contextmanager
def running_sandbox(
    port: int = 0,
    settings: Mapping[str, Any] | None = None,
    tls_cert: str | PathLike[str] | None = None,
    tls_key: str | PathLike[str] | None = None,
    start_seconds: float = 20.0,
    allow_hosts: Iterable[str] = (),
    like: str | PathLike[str] | Mapping[str, Any] | None = None,
) -> Iterator[RunningSandbox]:
    """Start the sandbox as a child process, yield its address, and end it with the block.

    :param port: port on 127.0.0.1; 0 takes a free one.
    :param settings: start-up settings; ``POST /_sandbox/reset`` restores them.
    :param tls_cert: file with the certificate, to serve https.
    :param tls_key: file with the certificate's key.
    :param start_seconds: the longest wait for the server to be ready.
    :param allow_hosts: host names that it answers to besides those of loopback.
    :param like: findings of ``airflow ipernity probe``, or a file with them: it behaves like the
        service that was probed; ``settings`` come on top.
    :raises SettingsError: ``like`` are not findings.
    :raises SandboxDidNotStart: with the server's own sentence about what is wrong.
    """
    command = [sys.executable, "-m", "ipernity_provider.sandbox", "--port", str(port)]
    found = {} if like is None else _settings_like(like)
    command += ["--settings", json.dumps({**found, **(settings or {})})]
    if tls_cert is not None:
        command += ["--tls-cert", str(tls_cert)]
    if tls_key is not None:
        command += ["--tls-key", str(tls_key)]
    for host in allow_hosts:
        command += ["--allow-host", host]
    # Airflow's variables hold connections and keys; the sandbox needs none of them.
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    pipe = subprocess.PIPE
    with subprocess.Popen(  # nosec B603  # noqa: S603 - our own interpreter and module
        command, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            url = _wait_until_ready(process, start_seconds)
            threading.Thread(target=_forward_stderr, args=(process,), daemon=True).start()
            yield RunningSandbox(url)
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _settings_like(findings: str | PathLike[str] | Mapping[str, Any]) -> dict[str, Any]:
    from ipernity_provider.sandbox.like import read_findings, settings_like  # loads the server

    if isinstance(findings, str | PathLike):
        findings = read_findings(findings)
    return settings_like(findings)


def _wait_until_ready(process: subprocess.Popen[str], seconds: float) -> str:
    """Return the address from the ready line.

    :raises SandboxDidNotStart: when the line does not come; the process is killed.
    """
    timer = threading.Timer(seconds, process.kill)  # a killed process ends the wait for its line
    timer.start()
    try:
        assert process.stdout is not None  # nosec B101  # noqa: S101 - it is a pipe
        line = process.stdout.readline().strip()
    finally:
        timer.cancel()
    if line.startswith(READY):
        return line.removeprefix(READY)
    assert process.stderr is not None  # nosec B101  # noqa: S101 - it is a pipe
    process.kill()
    error = process.stderr.read().strip()
    raise SandboxDidNotStart(error or f"The sandbox was not ready after {seconds:g} seconds.")


def _forward_stderr(process: subprocess.Popen[str]) -> None:
    """Copy the server's stderr: a pipe that is not read would fill up and block the server."""
    assert process.stderr is not None  # nosec B101  # noqa: S101 - it is a pipe
    for line in process.stderr:
        sys.stderr.write(line)
