"""Connections in Airflow: found wherever Airflow looks for them, stored in its database."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ipernity_provider.cli.connection import ConnectionFields, environment_variable
from ipernity_provider.cli.ending import CommandFailed

if TYPE_CHECKING:
    from airflow.sdk import Connection

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


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
    with _row(conn_id) as (_, row):
        if row is not None and not overwrite:
            raise CommandFailed(
                f"Connection {conn_id!r} exists: --overwrite renews its token and keeps its other settings."
            )


def store(fields: ConnectionFields) -> None:
    """Write a connection to Airflow's database; one that exists keeps its description."""
    from airflow.models import Connection

    with _row(fields.conn_id) as (session, row):
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
        raise CommandFailed(
            f"Airflow's database cannot be used ({type(error).__name__}): run `airflow db migrate`, or print the "
            "connection with --output."
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
