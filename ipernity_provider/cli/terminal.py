"""Talk to the user at the terminal: on stderr, so that stdout holds results alone."""

from __future__ import annotations

import getpass
import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ipernity_provider.cli.errors import CommandFailed


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def ask(question: str, alternative: str, *, hidden: bool = False) -> str:
    """Ask for a line of text.

    :param alternative: how to give it without a terminal, for the error.
    :param hidden: the terminal does not show what is typed.
    :raises CommandFailed: there is no terminal, or nothing was typed.
    """
    if not (sys.stdin and sys.stdin.isatty()):
        missing = f"{question} is missing and there is no terminal to ask for it"
        raise CommandFailed(f"{missing}: {alternative}.")
    if hidden:
        try:
            answer = getpass.getpass(f"{question} (not shown): ", stream=sys.stderr)
        except EOFError:
            answer = ""
    else:
        print(f"{question}: ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
    if not answer.strip():
        raise CommandFailed(f"{question} is missing.")
    return answer.strip()


def confirm(question: str, alternative: str) -> bool:
    """Ask a question that only ``y`` or ``yes`` affirms.

    :param alternative: how to affirm it without a terminal, for the error.
    :raises CommandFailed: there is no terminal.
    """
    if not (sys.stdin and sys.stdin.isatty()):
        raise CommandFailed(f"There is no terminal to ask at. {alternative}", 2)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def wait_for_enter(text: str) -> bool:
    """Return True when Enter is pressed, False if stdin has ended."""
    say(text)
    return bool(sys.stdin and sys.stdin.readline())


def open_in_browser(url: str) -> None:
    """Open an address if there is a graphical browser: one in the terminal would take it over."""
    has_windows = sys.platform in {"darwin", "win32"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if has_windows:
        with _detached_stdio(), _environment_without_secrets():
            webbrowser.open(url)


@contextmanager
def _environment_without_secrets() -> Iterator[None]:
    """Take keys and connections out of what the programs started meanwhile inherit."""
    secrets = {n: v for n, v in os.environ.items() if n.startswith(("AIRFLOW", "IPERNITY"))}
    for name in secrets:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(secrets)


@contextmanager
def _detached_stdio() -> Iterator[None]:
    """Connect stdin, stdout and stderr to the null device, for the programs started meanwhile."""
    null = os.open(os.devnull, os.O_RDWR)
    saved = {}
    for stream in (0, 1, 2):
        with suppress(OSError):  # it may be closed
            saved[stream] = os.dup(stream)
            os.dup2(null, stream)
    try:
        yield
    finally:
        for stream, copy in saved.items():
            os.dup2(copy, stream)
            os.close(copy)
        os.close(null)
