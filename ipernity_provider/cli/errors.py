"""How a command fails: with one line on stderr and an exit code, never with a traceback."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ipernity_provider.api.errors import IpernityError


class CommandFailed(Exception):
    """Why a command cannot continue: one line for a person, without secrets."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit with one line on stderr if the block, or the decorated function, fails.

    Log lines and warnings are switched off meanwhile: at the level DEBUG the OAuth library logs
    tokens with their secrets, and Airflow logs to stdout, in between our JSON.
    """
    _replace_closed_streams()
    disabled_level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
            sys.stdout.flush()  # here a reader that has ended is no error
    except CommandFailed as error:
        _exit_with(str(error), error.exit_code)
    except IpernityError as error:
        _exit_with(str(error), 1)
    except BrokenPipeError:  # the reader of our output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        _exit_with("Interrupted.", 130)
    except Exception as error:  # noqa: BLE001 - its text may hold secrets, its type is safe to show
        _exit_with(f"The command failed with an unexpected error ({type(error).__name__}).", 1)
    finally:
        logging.disable(disabled_level)


def _replace_closed_streams() -> None:
    """Write to nowhere where a shell's ``>&-`` or a service manager has left no stdout or stderr.

    Python has None for such a stream then: no ``isatty()``, and what is printed there goes to the
    other one.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def _exit_with(message: str, exit_code: int) -> None:
    # The terminal has shown "^C" without a line break if Ctrl-C was pressed.
    start = "\n" if exit_code == 130 and sys.stderr.isatty() else ""
    print(f"{start}{message}", file=sys.stderr)
    sys.exit(exit_code)
