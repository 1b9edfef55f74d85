"""What is known before anybody is asked: by the options, the environment, and the connection so far."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ipernity_provider.cli import stored
from ipernity_provider.cli.ending import CommandFailed
from ipernity_provider.cli.service import Application, Service
from ipernity_provider.cli.terminal import ask, ask_secret
from ipernity_provider.hooks.settings import ConnectionSettingError, ConnectionSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

KEY_VARIABLE, SECRET_VARIABLE = "IPERNITY_API_KEY", "IPERNITY_API_SECRET"


@dataclass(frozen=True)
class KnownConnection:
    """What the connection says so far: nothing where there is none, and it need not be complete."""

    api_key: str = ""
    api_secret: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    service: Service = field(default_factory=Service)


def known_connection(options: Namespace) -> KnownConnection:
    """:raises CommandFailed: the connection cannot be stored."""
    if options.output == "store":
        try:
            stored.check_room_for(options.conn_id, overwrite=options.overwrite)
        except stored.DatabaseUnusable as error:
            without = f"{str(error).rstrip('.')}; --output prints a connection without it."
            raise CommandFailed(without) from None
    elif _given_key(options) and _given_secret() and not options.overwrite:
        return KnownConnection()  # nothing is missing, and nothing need be asked of a database
    connection = stored.find(options.conn_id)
    if connection is None:
        return KnownConnection()
    extra = connection.extra_dejson
    api_key = str(extra.get("api_key") or "")
    return KnownConnection(api_key, connection.password or "", extra, _way(connection, extra))


def known_service(options: Namespace, known: Service) -> Service:
    """The options, and what the connection says where they are silent; read by the connection's own rules."""
    from airflow.sdk import Connection

    extra = {"proxy": options.proxy, "verify": options.verify}
    try:
        given = _way(Connection(conn_id="", host=options.host), extra)
    except ConnectionSettingError as error:
        what = str(error).partition(": ")[2].replace(" in the extra", "")
        raise CommandFailed(f"Of the options --host, --proxy and --verify, {what}") from None
    return replace(
        known,
        host=given.host or known.host,
        proxy=given.proxy or known.proxy,
        verify=given.verify if options.verify else known.verify,
    )


def known_application(options: Namespace, known: KnownConnection) -> Application:
    """Key and secret; what is not known is asked for."""
    api_key = _given_key(options) or known.api_key or ask("API key", f"give --api-key or set {KEY_VARIABLE}")
    # The secret of another key is of no use.
    known_secret = known.api_secret if api_key == known.api_key else ""
    api_secret = _given_secret() or known_secret or ask_secret("API secret", f"set {SECRET_VARIABLE}")
    return Application(api_key, api_secret)


def _given_key(options: Namespace) -> str:
    return str(options.api_key or os.environ.get(KEY_VARIABLE, "")).strip()


def _given_secret() -> str:
    return os.environ.get(SECRET_VARIABLE, "").strip()


def _way(connection: Connection, extra: Mapping[str, Any]) -> Service:
    """Only the settings for getting to the service: the others may be missing, or be about to change."""
    from airflow.sdk import Connection as NewConnection

    complete = NewConnection(
        conn_id=connection.conn_id,
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        password="not read",  # noqa: S106 - it only has to be there
    )
    fields = {name: extra.get(name) for name in ("proxy", "verify", "lg", "connect_timeout", "timeout")}
    settings = ConnectionSettings.of(complete, {**fields, "api_key": "not read"})
    return Service(
        settings.base_url,
        settings.proxy,
        settings.verify,
        settings.lg,
        settings.connect_timeout,
        settings.timeout,
    )
