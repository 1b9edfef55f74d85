"""The commands themselves, as Airflow and ``python -m ipernity_provider`` call them."""

from __future__ import annotations

import sys
from argparse import Namespace

from ipernity_provider.cli.ending import one_sentence_on_failure


def authorize(options: Namespace) -> None:
    """Obtain a user's token and keep it in a connection."""
    with one_sentence_on_failure():
        from ipernity_provider.cli.authorize import authorize

        authorize(options)


def check(options: Namespace) -> None:
    """Check a connection; exits with 1 if something failed, with 2 if the connection itself is missing or wrong."""
    with one_sentence_on_failure():
        from ipernity_provider.cli.check import check

        exit_code = check(options)
    if exit_code:
        sys.exit(exit_code)


def sandbox(options: Namespace) -> None:
    """Run the sandbox until it is told to stop."""
    try:
        from ipernity_provider.sandbox.server import main
    except ModuleNotFoundError as error:
        extra = "pip install 'airflow-provider-ipernity[sandbox]'"
        print(f"The sandbox needs the package {error.name}: {extra}.", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(["--host", options.host, "--port", str(options.port), "--settings", options.settings]))
