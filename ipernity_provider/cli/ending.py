"""How a command ends: well, or with one sentence on stderr and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ipernity_provider.api.errors import IpernityError
from ipernity_provider.hooks.explain import one_sentence


class CommandFailed(Exception):
    """Why a command cannot go on: one sentence for a person, without secrets."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


@contextmanager
def one_sentence_on_failure() -> Iterator[None]:
    """End the process with one sentence where a command fails; no traceback, and no log lines in between."""
    try:
        with _silence():
            yield
    except CommandFailed as failed:
        _end(str(failed), failed.exit_code)
    except IpernityError as error:
        _end(one_sentence(str(error)), 1)
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        _end("Interrupted.", 130)
    except Exception as error:  # noqa: BLE001 - whatever it says may hold secrets; its type is safe to show
        _end(f"The command failed for an unforeseen reason ({type(error).__name__}).", 1)


@contextmanager
def _silence() -> Iterator[None]:
    # At the level DEBUG the OAuth library logs tokens with their secrets; and Airflow logs to stdout, into our JSON.
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _end(sentence: str, exit_code: int) -> None:
    # The terminal shows "^C" where Ctrl-C was pressed.
    start = "\n" if exit_code == 130 and sys.stderr.isatty() else ""
    print(f"{start}{sentence}", file=sys.stderr)
    sys.exit(exit_code)
