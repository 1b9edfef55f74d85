"""``python -m ipernity_provider.sandbox``: start, say so, and stop on SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from aiohttp import web

from ipernity_provider.sandbox.app import make_app
from ipernity_provider.sandbox.process import READY
from ipernity_provider.sandbox.settings import Settings, SettingsError
from ipernity_provider.sandbox.state import Sandbox

CLOSE_SECONDS = 0.2
"""How long calls in progress may take to end when the server is told to stop."""


class CannotStart(Exception):
    """One sentence for stderr."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is told to stop.

    :returns: 2 when it cannot start; after a clean stop the process ends here, with exit code 0.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options.settings)
        tls = _tls(options.tls_cert, options.tls_key)
        with tempfile.TemporaryDirectory(prefix="ipernity-sandbox-", ignore_cleanup_errors=True) as folder:
            sandbox = Sandbox(Path(folder), settings)
            with closing(asyncio.new_event_loop()) as loop:
                loop.run_until_complete(_serve(sandbox, options.host, options.port, tls))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 2
    sys.stdout.flush()
    os._exit(0)  # a thumbnail still being made in a thread would hold up an ordinary exit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ipernity_provider.sandbox", description="The photo service ipernity.com, emulated."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8765, help="port, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate, to serve https")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's key")
    parser.add_argument(
        "--settings", default="{}", metavar="JSON", help="settings as JSON, or @FILE with them"
    )
    return parser


async def _serve(sandbox: Sandbox, host: str, port: int, tls: ssl.SSLContext | None) -> None:
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    runner = web.AppRunner(make_app(sandbox), access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        named = f"[{host}]" if ":" in host else host
        print(f"{READY}{'https' if tls else 'http'}://{named}:{runner.addresses[0][1]}", flush=True)
        await told_to_stop.wait()
    except (OSError, OverflowError) as error:
        why = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise CannotStart(f"The sandbox cannot listen on {host} port {port}: {why}.") from error
    finally:
        await runner.cleanup()


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        if key is not None:
            raise CannotStart("The option --tls-key needs --tls-cert.")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:  # ssl.SSLError is one
        raise CannotStart(f"The certificate {cert} or its key cannot be used: {error}.") from error
    return context


def _settings(text: str) -> Settings:
    try:
        return Settings().changed(json.loads(Path(text[1:]).read_text() if text.startswith("@") else text))
    except OSError as error:
        raise CannotStart(f"The settings file {text[1:]} cannot be read: {error.strerror}.") from error
    except SettingsError as error:
        raise CannotStart(str(error)) from error
    except ValueError as error:
        raise CannotStart(f"The settings are not JSON: {error}.") from error
