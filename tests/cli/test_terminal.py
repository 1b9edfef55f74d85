"""At a real terminal: questions, a secret that is not shown, Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.commandline import COMMAND, assert_no_secret, click, environment
from tests.conftest import API_KEY, API_SECRET, Service


class Terminal:
    """A pseudo-terminal: what is printed on it, and what is typed."""

    def __init__(self, pid: int, end: int) -> None:
        self.pid, self.seen, self._end = pid, "", end

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, pattern: str, seconds: float = 20.0) -> str:
        until = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < until, self.seen
            assert self._read(0.1), self.seen
        return found[0]

    def exit_code(self) -> int:
        while self._read(10.0):
            continue
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, seconds: float) -> bool:
        """Return False when the program has ended."""
        if not select.select([self._end], [], [], seconds)[0]:
            return True
        try:
            self.seen += os.read(self._end, 4096).decode()
        except OSError:
            return False
        return True


@contextmanager
def terminal(env: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    pid, end = pty.fork()
    if pid == 0:
        # A test run in the background ignores it, and its children would inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(COMMAND[0], [*COMMAND, *arguments], env)
    try:
        yield Terminal(pid, end)
    finally:
        os.close(end)


def test_the_secret_is_asked_for_and_not_shown(service: Service, tmp_path: Path) -> None:
    with terminal(
        environment(tmp_path), "authorize", "--host", service.url, "--output", "json"
    ) as shown:
        shown.wait_for("API key: ")
        shown.type(f"{API_KEY}\n")
        shown.wait_for(r"API secret \(not shown\): ")
        shown.type(f"{API_SECRET}\n")
        click(shown.wait_for(r"http\S+(?=\s)"))
        shown.wait_for("Press Enter")
        shown.type("\n")
        shown.wait_for("What follows on stdout is secret")
        before = shown.seen.partition("What follows")[0]
        assert shown.exit_code() == 0
    assert_no_secret(before.replace("\r", ""))
    assert f'"password": "{API_SECRET}"' in shown.seen


def test_ctrl_c_ends_with_one_line(service: Service, tmp_path: Path) -> None:
    with terminal(
        environment(tmp_path), "authorize", "--host", service.url, "--output", "json"
    ) as shown:
        shown.wait_for("API key: ")
        shown.type("\x03")
        assert shown.exit_code() == 130
    assert shown.seen.replace("\r", "").splitlines() == ["API key: ^C", "Interrupted."]
