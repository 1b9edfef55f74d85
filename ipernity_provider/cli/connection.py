"""The connection that ``authorize`` makes: drafted without a token, completed, printed.

Airflow's own ``Connection`` is its only representation, ``ConnectionSettings`` the only reader.
"""

from __future__ import annotations

import json
import os
import tempfile
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from ipernity_provider.cli.errors import CommandFailed
from ipernity_provider.cli.terminal import ask
from ipernity_provider.hooks.connection import ConnectionSettingError, ConnectionSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

CONN_TYPE = "ipernity"
KEY_VARIABLE, SECRET_VARIABLE = "IPERNITY_API_KEY", "IPERNITY_API_SECRET"
_TOKEN_FIELDS = frozenset({"auth", "token", "token_secret"})


def require_valid_options(options: Namespace) -> None:
    """Check --host, --proxy and --verify by the rules of the connection's own fields.

    :raises CommandFailed: one of them is not valid.
    """
    from airflow.sdk import Connection

    connection = Connection(conn_id="", host=options.host, password="unread")  # nosec B106  # noqa: S106 - not used
    extra = {"api_key": "unread", "proxy": options.proxy, "verify": options.verify}
    try:
        ConnectionSettings.of(connection, extra)
    except ConnectionSettingError as error:
        problem = str(error).partition(": ")[2].replace(" in the extra", "")
        raise CommandFailed(f"Of the options --host, --proxy and --verify, {problem}") from None


def draft_connection(options: Namespace, saved: Connection | None) -> Connection:
    """Return the connection to authorize, without a token.

    Each value comes from the options, else the environment, else the saved connection; a missing
    key or secret is asked for.

    :raises CommandFailed: there is no terminal to ask at.
    """
    from airflow.sdk import Connection

    kept = saved.extra_dejson if saved else {}
    if not isinstance(kept, dict):
        raise CommandFailed(f"Connection {options.conn_id!r}: the extra must be a JSON object.")
    dropped = {name for name, value in kept.items() if value in (None, "")} | _TOKEN_FIELDS
    extra = {name: value for name, value in kept.items() if name not in dropped}
    saved_key = str(extra.get("api_key", ""))
    key_hint, secret_hint = f"give --api-key or set {KEY_VARIABLE}", f"set {SECRET_VARIABLE}"
    api_key, secret = given_credentials(options)
    api_key = api_key or saved_key or ask("API key", key_hint)
    # A secret belongs to one key.
    saved_secret = saved.password if saved and api_key == saved_key else None
    secret = secret or saved_secret or ask("API secret", secret_hint, hidden=True)
    extra["api_key"] = api_key
    if options.proxy:
        extra["proxy"] = options.proxy
    if options.verify:
        extra["verify"] = options.verify
    draft = Connection(conn_id=options.conn_id, conn_type=CONN_TYPE, password=secret)
    draft.extra = json.dumps(extra)
    if options.host or saved is None:
        draft.host = options.host
    else:
        draft.host, draft.schema, draft.port = saved.host, saved.schema, saved.port
    return draft


def given_credentials(options: Namespace) -> tuple[str, str]:
    """Return the key and secret of the options and the environment; empty where there is none."""
    api_key = options.api_key or os.environ.get(KEY_VARIABLE, "")
    return str(api_key).strip(), os.environ.get(SECRET_VARIABLE, "").strip()


def complete_connection(
    draft: Connection,
    settings: ConnectionSettings,
    token: dict[str, str],
) -> Connection:
    """Return the draft with its token, and with its address in one piece.

    :param settings: the draft, read and checked.
    :param token: the extra's fields ``auth``, ``token`` and, with OAuth, ``token_secret``.
    """
    from airflow.sdk import Connection

    extra = draft.extra_dejson | token
    if "verify" in extra:
        extra["verify"] = settings.verify
    return Connection(
        conn_id=draft.conn_id,
        conn_type=CONN_TYPE,
        host=settings.base_url,
        password=settings.api_secret,
        port=0,  # the Test button of Airflow 3.3.2 needs a stored port
        extra=json.dumps(extra),
    )


def read_settings(connection: Connection) -> ConnectionSettings:
    """Read and check a connection.

    :raises ConnectionSettingError: a field is missing or wrong.
    """
    return ConnectionSettings.of(connection, connection.extra_dejson)


def as_json(connection: Connection) -> str:
    """Return a connection as Airflow reads it from the environment or a secrets backend."""
    fields: dict[str, Any] = {
        "conn_type": connection.conn_type,
        "host": connection.host,
        "password": connection.password,
        "port": connection.port,
        "extra": connection.extra_dejson,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def save_to_file(connection: Connection) -> str:
    """Write a new file for ``airflow connections import``, readable by its owner alone.

    :return: its path.
    """
    handle, path = tempfile.mkstemp(prefix=f"{connection.conn_id}-", suffix=".json")
    with os.fdopen(handle, "w") as file:
        json.dump({connection.conn_id: json.loads(as_json(connection))}, file)
    return path


def environment_variable(conn_id: str) -> str:
    """Return the variable in which Airflow looks for a connection first."""
    return f"AIRFLOW_CONN_{conn_id.upper()}"
