"""The sandbox as a child process, for tests and for a user's own CI."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike

READY = "ipernity sandbox ready: "


class SandboxDidNotStart(RuntimeError):
    """The server ended, or said nothing, before it was ready; the message holds what it wrote on stderr."""


@contextmanager
def running_sandbox(
    port: int = 0,
    settings: Mapping[str, Any] | None = None,
    tls_cert: str | PathLike[str] | None = None,
    tls_key: str | PathLike[str] | None = None,
    start_seconds: float = 20.0,
) -> Iterator[str]:
    """Start the sandbox as a child process, yield its root address and end it when the block is left.

    :param port: port on 127.0.0.1; 0 takes a free one.
    :param settings: start-up settings; ``POST /_sandbox/reset`` comes back to them.
    :param tls_cert: file with the certificate, to serve https.
    :param tls_key: file with the certificate's key.
    :param start_seconds: the longest wait for the server to be ready.
    :raises SandboxDidNotStart: with the server's own sentence about what is wrong.
    """
    command = [sys.executable, "-m", "ipernity_provider.sandbox", "--port", str(port)]
    command += ["--settings", json.dumps(dict(settings or {}))]
    if tls_cert is not None:
        command += ["--tls-cert", str(tls_cert)]
    if tls_key is not None:
        command += ["--tls-key", str(tls_key)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            url = _wait_until_ready(process, start_seconds)
            threading.Thread(target=_pass_on_errors, args=(process,), daemon=True).start()
            yield url
        finally:
            _end(process)


def _wait_until_ready(process: subprocess.Popen[str], seconds: float) -> str:
    """The address from the ready line. Killing the process is what ends the wait for a line that never comes."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line = process.stdout.readline().strip()
    finally:
        timer.cancel()
    if line.startswith(READY):
        return line.removeprefix(READY)
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    process.kill()
    said = process.stderr.read().strip()
    raise SandboxDidNotStart(said or f"The sandbox was not ready after {seconds:g} seconds.")


def _pass_on_errors(process: subprocess.Popen[str]) -> None:
    """Hand the server's stderr through: an unread pipe would fill up and stop the server."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    for line in process.stderr:
        sys.stderr.write(line)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
