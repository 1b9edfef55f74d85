"""Airflow's connections: find one wherever Airflow looks, store one in Airflow's database."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ipernity_provider.cli.connection import CONN_TYPE, environment_variable, read_settings
from ipernity_provider.cli.errors import CommandFailed

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from ipernity_provider.hooks.connection import ConnectionSettings
    from ipernity_provider.hooks.ipernity import IpernityHook

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


class DatabaseUnusable(CommandFailed):
    """Airflow's database is unreachable, locked, or not migrated."""


def find_connection(conn_id: str) -> Connection | None:
    """Return a connection from the environment, a secrets backend or the database.

    :return: None if there is none, or if it cannot be read.
    :raises CommandFailed: it is of another type.
    """
    from airflow.sdk import BaseHook

    from ipernity_provider.airflow_compat import AirflowNotFoundException

    try:
        with database_access():
            connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
    if connection.conn_type not in {None, "", CONN_TYPE}:
        raise CommandFailed(
            f"Connection {conn_id!r} is of the type {connection.conn_type}, not {CONN_TYPE}. "
            "Choose another one with --conn-id."
        )
    return connection


def require_settings(conn_id: str) -> ConnectionSettings:
    """Return the connection's settings.

    :raises CommandFailed: there is no such connection, or it is unreadable or of another type.
    :raises ConnectionSettingError: one of its fields is missing or wrong.
    """
    connection = find_connection(conn_id)
    if connection is not None:
        return read_settings(connection)
    if (variable := environment_variable(conn_id)) in os.environ:
        raise CommandFailed(
            f"The environment variable {variable} is not a connection that Airflow can read. "
            "Set it to JSON or a URI."
        )
    try:
        is_stored(conn_id)  # raises if it is there, and unreadable
    except DatabaseUnusable as error:
        elsewhere = f"Connection {conn_id!r} is not in the environment or a secrets backend."
        raise CommandFailed(f"{elsewhere} {error}") from None
    undefined = f"Connection {conn_id!r} is not defined."
    raise CommandFailed(f"{undefined} `airflow ipernity authorize` creates it.")


def connected_hook(conn_id: str) -> IpernityHook:
    """Return a hook for a connection that is known to be valid.

    :raises CommandFailed: it is not, exit code 2.
    """
    from ipernity_provider.hooks.connection import ConnectionSettingError
    from ipernity_provider.hooks.ipernity import IpernityHook

    hook = IpernityHook(conn_id)
    try:
        hook.settings = require_settings(conn_id)
    except (CommandFailed, ConnectionSettingError) as error:
        raise CommandFailed(str(error), 2) from None
    return hook


def is_stored(conn_id: str) -> bool:
    """Return whether Airflow's database has a connection.

    :raises DatabaseUnusable: the database cannot be asked.
    :raises CommandFailed: the connection is there, but cannot be decrypted.
    """
    try:
        with _open_row(conn_id) as (_, row):
            if row is not None:
                _ = row.password, row.extra  # decrypts them
            return row is not None
    except CommandFailed:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the decrypting library raises
        raise CommandFailed(
            f"Connection {conn_id!r} is in Airflow's database, but cannot be read "
            f"({type(error).__name__}). Check that [core] fernet_key is the key it was stored with."
        ) from None


def require_storable(conn_id: str, *, overwrite: bool) -> None:
    """Check that a connection can be stored, before the owner is asked for consent.

    :raises CommandFailed: it exists, or would be hidden, or could not be encrypted.
    :raises DatabaseUnusable: the database cannot be asked.
    """
    if not re.fullmatch(r"[\w.-]{1,200}", conn_id):
        allowed = "letters, digits, dots, dashes and underscores"
        raise CommandFailed(f"{conn_id!r} is not a connection id. Use {allowed}.")
    _require_not_hidden(conn_id)
    if is_stored(conn_id) and not overwrite:
        raise CommandFailed(
            f"Connection {conn_id!r} already exists and was not changed. "
            "--overwrite renews its token and keeps its other settings."
        )
    _require_fernet_key()  # after the database: with it comes the configuration file with the key


def _require_not_hidden(conn_id: str) -> None:
    """Raise CommandFailed if Airflow would find another connection before the stored one."""
    from airflow.configuration import ensure_secrets_loaded

    variable = environment_variable(conn_id)
    if variable in os.environ:
        raise CommandFailed(
            f"The environment variable {variable} would hide a stored connection. "
            "Unset it, or print the new connection with --output."
        )
    for backend in ensure_secrets_loaded():
        name = type(backend).__name__
        if name == "MetastoreBackend":
            return
        found = None
        with suppress(Exception):  # Airflow skips a backend that fails, too
            found = backend.get_connection(conn_id)
        if found is not None:
            raise CommandFailed(
                f"Connection {conn_id!r} is in a secrets backend ({name}), which would hide a "
                "stored one. Print the new connection with --output, and put it there."
            )


def _require_fernet_key() -> None:
    """Raise CommandFailed if the key with which Airflow encrypts secrets cannot be used."""
    from airflow.models.crypto import get_fernet

    try:
        get_fernet().encrypt(b"")
    except Exception as error:  # noqa: BLE001 - its text may hold the key
        raise CommandFailed(
            f"Airflow cannot encrypt secrets ({type(error).__name__}). Check [core] fernet_key."
        ) from None


def store_connection(connection: Connection, *, overwrite: bool) -> None:
    """Write a connection to Airflow's database; an existing one keeps its description.

    :raises CommandFailed: another process has created one since ``require_storable``.
    :raises DatabaseUnusable: the database cannot be written.
    """
    from airflow.models import Connection as Row

    with _open_row(connection.conn_id) as (session, row):
        if row is not None and not (overwrite and row.conn_type == CONN_TYPE):
            raise CommandFailed(
                f"Connection {connection.conn_id!r} was created by another process meanwhile. "
                "It was not changed."
            )
        stored = row or Row(conn_id=connection.conn_id)  # noqa: AIR311 - a row of the database
        stored.conn_type = CONN_TYPE
        stored.host, stored.port = connection.host, connection.port
        stored.login = stored.schema = None
        stored.set_password(connection.password)
        stored.set_extra(connection.extra)
        session.add(stored)


def require_extra_storable(conn_id: str) -> None:
    """Check that a field can be added to the extra of a stored connection.

    :raises CommandFailed: the connection is not in Airflow's database, or is hidden by another.
    :raises DatabaseUnusable: the database cannot be asked.
    """
    elsewhere = CommandFailed(
        f"Connection {conn_id!r} does not come from Airflow's database, so nothing can be stored "
        "with it. Nothing was sent. Use --save FILE instead of --store, and copy the file's "
        "content into the connection's extra, as the member findings.",
        2,
    )
    if not is_stored(conn_id):
        raise elsewhere
    try:
        _require_not_hidden(conn_id)
    except CommandFailed:
        raise elsewhere from None


def store_in_extra(conn_id: str, name: str, value: object) -> None:
    """Set one field in the extra of a stored connection; everything else stays.

    :raises CommandFailed: the connection is gone, or is of another type by now.
    :raises DatabaseUnusable: the database cannot be written.
    """
    with _open_row(conn_id) as (session, row):
        if row is None or row.conn_type != CONN_TYPE:
            raise CommandFailed(
                f"Connection {conn_id!r} was removed or changed by another process meanwhile. "
                f"The {name} were not stored."
            )
        extra = row.extra_dejson
        row.set_extra(json.dumps({**extra, name: value}))
        session.add(row)


@contextmanager
def _open_row(conn_id: str) -> Iterator[tuple[Any, Any]]:
    """Yield a database session, and the connection's row or None."""
    from airflow.configuration import write_default_airflow_configuration_if_needed
    from airflow.models import Connection as Row
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    # As Airflow's own commands do. Without the configuration file, the key that encrypts the
    # secrets would be lost when this process ends.
    write_default_airflow_configuration_if_needed()
    try:
        with create_session() as session:
            query = select(Row).where(Row.conn_id == conn_id)  # noqa: AIR311 - the database's table
            yield session, session.scalar(query)
    except SQLAlchemyError as error:
        raise DatabaseUnusable(
            f"Airflow's database cannot be used ({type(error).__name__}): it is unreachable, "
            "locked, or needs `airflow db migrate`."
        ) from None


@contextmanager
def database_access() -> Iterator[None]:
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
