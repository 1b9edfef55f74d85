"""Talking to the person at the terminal: on stderr, so that stdout holds results alone."""

from __future__ import annotations

import getpass
import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ipernity_provider.cli.ending import CommandFailed


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def ask(question: str, otherwise: str) -> str:
    """A line of text.

    :param otherwise: what to do where nobody can be asked, for the sentence.
    """
    _somebody_is_there(question, otherwise)
    print(f"{question}: ", end="", file=sys.stderr, flush=True)
    return _given(sys.stdin.readline(), question)


def ask_secret(question: str, otherwise: str) -> str:
    """A line of text that the terminal does not show."""
    _somebody_is_there(question, otherwise)
    try:
        return _given(getpass.getpass(f"{question} (not shown): ", stream=sys.stderr), question)
    except EOFError:
        return _given("", question)


def wait_for_enter(text: str) -> bool:
    """Whether somebody pressed Enter; False where stdin has ended."""
    say(text)
    return bool(sys.stdin and sys.stdin.readline())


def open_in_browser(url: str) -> None:
    """Open an address where there is a browser with a window; a browser in the terminal would take it away from us."""
    windows = sys.platform in {"darwin", "win32"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if windows:
        with _without_our_streams():
            webbrowser.open(url)


@contextmanager
def _without_our_streams() -> Iterator[None]:
    """Programs that are started here read nothing that is typed for us, and write nothing between our lines."""
    nothing = os.open(os.devnull, os.O_RDWR)
    kept = {}
    for stream in (0, 1, 2):
        with suppress(OSError):  # it may be closed
            kept[stream] = os.dup(stream)
            os.dup2(nothing, stream)
    try:
        yield
    finally:
        for stream, ours in kept.items():
            os.dup2(ours, stream)
            os.close(ours)
        os.close(nothing)


def _somebody_is_there(question: str, otherwise: str) -> None:
    if not (sys.stdin and sys.stdin.isatty()):
        raise CommandFailed(f"{question} is missing and there is no terminal to ask for it: {otherwise}.")


def _given(answer: str, question: str) -> str:
    if not answer.strip():
        raise CommandFailed(f"{question} is missing.")
    return answer.strip()
