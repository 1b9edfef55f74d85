"""Connections in Airflow: found wherever Airflow looks for them, stored in its database."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ipernity_provider.cli.connection import ConnectionFields, environment_variable
from ipernity_provider.cli.ending import CommandFailed

if TYPE_CHECKING:
    from airflow.sdk import Connection

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


class DatabaseUnusable(CommandFailed):
    """Airflow's database is out of reach, or not made yet."""


def find(conn_id: str) -> Connection | None:
    """A connection from the environment, a secrets backend or the database; None if there is none or it is unreadable.

    :raises CommandFailed: it is of another type.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        with _as_airflows_own_commands():
            connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
    if connection.conn_type not in {None, "", "ipernity"}:
        raise CommandFailed(
            f"Connection {conn_id!r} is of the type {connection.conn_type}, not ipernity: name another one."
        )
    return connection


def is_in_database(conn_id: str) -> bool:
    """Whether Airflow's database has a connection.

    :raises DatabaseUnusable: and :raises CommandFailed: the connection is there, but cannot be decrypted.
    """
    try:
        with _row(conn_id) as (_, row):
            if row is not None:
                _ = row.password, row.extra  # is decrypted here
            return row is not None
    except CommandFailed:
        raise
    except Exception as error:  # noqa: BLE001 - of the library that decrypts
        raise CommandFailed(
            f"Connection {conn_id!r} is in Airflow's database, but cannot be read ({type(error).__name__}): is the Fernet key "
            "the one that it was stored with?"
        ) from None


def check_room_for(conn_id: str, *, overwrite: bool) -> None:
    """Whether a connection can be stored, before anybody is troubled.

    :raises CommandFailed: it exists, or would be hidden, or there is no database.
    """
    if not re.fullmatch(r"[\w.-]{1,200}", conn_id):
        raise CommandFailed("A connection id is made of letters, digits, dots, dashes and underscores.")
    if environment_variable(conn_id) in os.environ:
        raise CommandFailed(
            f"The environment variable {environment_variable(conn_id)} would hide a stored connection: unset it, or "
            "print the new one with --output."
        )
    _require_not_hidden(conn_id)
    if is_in_database(conn_id) and not overwrite:
        raise CommandFailed(
            f"Connection {conn_id!r} exists: --overwrite renews its token and keeps its other settings."
        )
    _require_key_for_secrets()  # after the database, with which the configuration file comes that keeps the key


def _require_key_for_secrets() -> None:
    """:raises CommandFailed: the key with which Airflow encrypts what it stores is of no use."""
    from airflow.models.crypto import get_fernet

    try:
        get_fernet().encrypt(b"")
    except Exception as error:  # noqa: BLE001 - what it says may hold the key
        raise CommandFailed(
            f"Airflow cannot encrypt what it stores ({type(error).__name__}): check [core] fernet_key."
        ) from None


def _require_not_hidden(conn_id: str) -> None:
    """:raises CommandFailed: a secrets backend, which Airflow asks before its database, has such a connection."""
    from airflow.configuration import ensure_secrets_loaded

    for backend in ensure_secrets_loaded():
        name = type(backend).__name__
        if name == "MetastoreBackend":
            return
        hidden = None
        with suppress(Exception):  # Airflow passes over a backend that fails, too
            hidden = backend.get_connection(conn_id)
        if hidden is not None:
            raise CommandFailed(
                f"Connection {conn_id!r} is in a secrets backend ({name}), which would hide a stored one: print the new one "
                "with --output, and put it there."
            )


def store(fields: ConnectionFields, *, overwrite: bool) -> None:
    """Write a connection to Airflow's database; one that exists keeps its description.

    :raises CommandFailed: somebody else has made one meanwhile, or the database cannot be used.
    """
    from airflow.models import Connection

    with _row(fields.conn_id) as (session, row):
        if row is not None and not (overwrite and row.conn_type == fields.conn_type):
            raise CommandFailed(f"Somebody has made a connection {fields.conn_id!r} meanwhile.")
        connection = row or Connection(conn_id=fields.conn_id)  # noqa: AIR311 - a row of the database
        connection.conn_type = fields.conn_type
        connection.host, connection.port = fields.host, fields.port
        connection.login = connection.schema = None
        connection.set_password(fields.password)
        connection.set_extra(json.dumps(dict(fields.extra)))
        session.add(connection)


@contextmanager
def _row(conn_id: str) -> Iterator[tuple[Any, Any]]:
    """A database session, and the connection's row if there is one."""
    from airflow.configuration import write_default_airflow_configuration_if_needed
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    # Airflow's own commands do so first. Without its configuration file the key that encrypts the secrets would be
    # forgotten when this process ends.
    write_default_airflow_configuration_if_needed()
    try:
        with create_session() as session:
            wanted = select(Connection).where(Connection.conn_id == conn_id)  # noqa: AIR311 - its table
            yield session, session.scalar(wanted)
    except SQLAlchemyError as error:
        raise DatabaseUnusable(
            f"Airflow's database cannot be used ({type(error).__name__}): it is out of reach, locked, or wants "
            "`airflow db migrate`."
        ) from None


@contextmanager
def _as_airflows_own_commands() -> Iterator[None]:
    """Let Airflow look into its database, too, as it does for `airflow connections test`."""
    before = os.environ.get(_CONTEXT)
    os.environ[_CONTEXT] = "server"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CONTEXT]
        else:
            os.environ[_CONTEXT] = before
