"""``python -m ipernity_provider.sandbox``: serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import ssl
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ipernity_provider.sandbox.app import make_app
from ipernity_provider.sandbox.like import read_findings, settings_like
from ipernity_provider.sandbox.process import READY
from ipernity_provider.sandbox.settings import Settings, SettingsError
from ipernity_provider.sandbox.state import Sandbox

PREFIX = "ipernity-sandbox-"
"""How the names of the private folders begin."""

CLOSE_SECONDS = 0.2
"""How long calls in progress may take to end when the server stops."""


class CannotStart(Exception):
    """The server cannot start; the message is one sentence for stderr."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is stopped.

    :returns: 2 when it cannot start; after a stop the process ends here, with exit code 0.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options.settings, options.like)
        tls = _tls(options.tls_cert, options.tls_key)
        hosts = frozenset(name.lower() for name in (options.host, *options.allow_host))
        with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
            app = make_app(Sandbox(Path(folder), settings), hosts)
            with closing(asyncio.new_event_loop()) as loop:
                loop.run_until_complete(_serve(app, options.host, options.port, tls))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 2
    sys.stdout.flush()
    os._exit(0)  # a thumbnail still being made in a thread would hold up an ordinary exit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ipernity_provider.sandbox",
        description="The photo service ipernity.com, emulated.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8765, help="port, 0 for a free one (default: %(default)s)")
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name to answer to besides those of this machine; can be repeated",
    )
    add("--tls-cert", type=Path, metavar="FILE", help="certificate, to serve https")
    add("--tls-key", type=Path, metavar="FILE", help="the certificate's key")
    add("--settings", default="{}", metavar="JSON", help="settings as JSON, or @FILE with them")
    add(
        "--like",
        metavar="FILE",
        help="behave like the service in this file of `airflow ipernity probe --save`; "
        "--settings come on top",
    )
    return parser


async def _serve(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> None:
    logging.getLogger("aiohttp.server").addFilter(_is_own_fault)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        name = f"[{host}]" if ":" in host else host
        scheme = "https" if tls else "http"
        print(f"{READY}{scheme}://{name}:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise CannotStart(f"The sandbox cannot listen on {host} port {port}: {reason}.") from error
    finally:
        await runner.cleanup()


def _is_own_fault(record: logging.LogRecord) -> bool:
    """Return False for what is wrong with a request and not with the server."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


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


def _settings(text: str, like: str | None) -> Settings:
    try:
        found = settings_like(read_findings(like)) if like else {}
        content = Path(text[1:]).read_text() if text.startswith("@") else text
        return Settings().changed(found).changed(json.loads(content))
    except OSError as error:
        reason = error.strerror
        raise CannotStart(f"The settings file {text[1:]} cannot be read: {reason}.") from error
    except SettingsError as error:
        raise CannotStart(str(error)) from error
    except ValueError as error:
        raise CannotStart(f"The settings are not JSON: {error}.") from error
