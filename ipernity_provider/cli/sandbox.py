"""``sandbox``: the same as ``python -m ipernity_provider.sandbox``, with the same options."""

from __future__ import annotations

import sys
from argparse import Namespace


def sandbox(options: Namespace) -> None:
    """Run the sandbox until it is stopped by SIGTERM or Ctrl-C."""
    from ipernity_provider.sandbox.__main__ import main  # exits if the extra is not installed

    given = {
        "--host": options.host,
        "--port": options.port,
        "--settings": options.settings,
        "--like": options.like,
        "--tls-cert": options.tls_cert,
        "--tls-key": options.tls_key,
    }
    arguments = [f"{name}={value}" for name, value in given.items() if value is not None]
    arguments += [f"--allow-host={name}" for name in options.allow_host or ()]
    sys.exit(main(arguments))
