"""A token is never lost once it is issued, and no other connection is overwritten."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scripts.rig import migrate
from tests.cli.commandline import (
    COMMAND,
    assert_no_secret,
    assert_one_line,
    click,
    run,
    running,
    service_client_works,
    with_key,
)
from tests.conftest import Service


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    migrate(with_key(home))
    return home


@pytest.fixture
def database(migrated: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(migrated / "airflow.db", isolation_level=None)) as connection:
        yield connection
        connection.execute("delete from connection")


def assert_saved_to_a_file(service: Service, err: str, conn_id: str) -> None:
    last = err.splitlines(keepends=True)[-1]
    assert_one_line(last)
    assert_no_secret(err)
    path = Path(last.partition("`airflow connections import ")[2].partition("`")[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    stored = json.loads(path.read_text())
    path.unlink()
    service_client_works(service, json.dumps(stored[conn_id]))


def test_a_locked_database_does_not_lose_the_token(
    service: Service, migrated: Path, database: sqlite3.Connection
) -> None:
    with running(with_key(migrated), "authorize", "--host", service.url) as command:
        click(command.consent_url())
        database.execute("begin exclusive")
        code, out, err = command.end("\n")
        database.execute("rollback")
    assert (code, out) == (1, "")
    assert "could not be stored: Airflow's database cannot be used (OperationalError)" in err
    assert_saved_to_a_file(service, err, "ipernity_default")


def test_a_connection_created_meanwhile_is_not_changed(
    service: Service, migrated: Path, database: sqlite3.Connection
) -> None:
    with running(
        with_key(migrated), "authorize", "--host", service.url, "--conn-id", "race"
    ) as command:
        click(command.consent_url())
        database.execute(
            "insert into connection (conn_id, conn_type, host, is_encrypted, is_extra_encrypted) "
            "values ('race', 'http', 'example.org', 0, 0)"
        )
        code, out, err = command.end("\n")
    assert (code, out) == (1, "")
    assert "Connection 'race' was created by another process meanwhile. It was not changed." in err
    assert_saved_to_a_file(service, err, "race")
    assert database.execute("select conn_type, host from connection").fetchall() == [
        ("http", "example.org")
    ]


def test_a_token_is_printed_before_it_is_checked(service: Service, tmp_path: Path) -> None:
    service.fail("code:503", "auth.checkToken")
    with running(
        with_key(tmp_path), "authorize", "--host", service.url, "--output", "json"
    ) as command:
        click(command.consent_url())
        code, out, err = command.end("\n")
    assert (code, "it could not be checked" in err) == (1, True)
    service_client_works(service, out)


def test_a_connection_in_a_secrets_backend_would_hide_a_stored_one(
    service: Service, migrated: Path, tmp_path: Path, database: sqlite3.Connection
) -> None:
    (tmp_path / "connections.json").write_text(
        json.dumps({"kept": {"conn_type": "ipernity", "password": "s"}})
    )
    env = with_key(
        migrated,
        AIRFLOW__SECRETS__BACKEND="airflow.secrets.local_filesystem.LocalFilesystemBackend",
        AIRFLOW__SECRETS__BACKEND_KWARGS=json.dumps(
            {"connections_file_path": str(tmp_path / "connections.json")}
        ),
    )
    done = run(env, "authorize", "--host", service.url, "--conn-id", "kept")
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_line(done.stderr)
    assert "is in a secrets backend (LocalFilesystemBackend), which would hide" in done.stderr
    assert service.calls() == {}


def test_an_unusable_fernet_key_is_reported_before_the_consent(
    service: Service, migrated: Path
) -> None:
    env = with_key(migrated, AIRFLOW__CORE__FERNET_KEY="garbage")
    done = run(env, "authorize", "--host", service.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_line(done.stderr)
    assert "Check [core] fernet_key" in done.stderr
    assert service.calls() == {}


def test_a_new_fernet_key_is_written_to_the_configuration_file(
    service: Service, tmp_path: Path
) -> None:
    env = with_key(tmp_path)
    migrate(env)
    (tmp_path / "airflow.cfg").unlink(missing_ok=True)
    with running(env, "authorize", "--host", service.url) as command:
        click(command.consent_url())
        assert command.end("\n")[0] == 0
    assert run(env, "check").returncode == 0


def test_a_connection_encrypted_with_another_key_is_not_reported_as_missing(
    service: Service, migrated: Path, database: sqlite3.Connection
) -> None:
    with running(with_key(migrated), "authorize", "--host", service.url) as command:
        click(command.consent_url())
        assert command.end("\n")[0] == 0
    env = with_key(
        migrated, AIRFLOW__CORE__FERNET_KEY="cFRlc3RrZXktdGVzdGtleS10ZXN0a2V5LTAxMjM0NTY="
    )
    done = run(env, "check")
    assert done.returncode == 2
    assert "cannot be read (InvalidToken). Check that [core] fernet_key" in done.stderr
    missing = run(with_key(migrated), "check", "--conn-id", "none")
    assert (
        missing.stderr
        == "Connection 'none' is not defined. `airflow ipernity authorize` creates it.\n"
    )


def test_a_browser_does_not_write_into_the_output(service: Service, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "Opening in existing browser session."\nexec sleep 30\n')
    browser.chmod(0o755)
    env = with_key(tmp_path, BROWSER=f"{browser} %s &")
    with running(env, "authorize", "--host", service.url, "--output", "json") as command:
        click(command.consent_url())
        code, out, _ = command.end("\n")
    assert code == 0
    service_client_works(service, out)


def test_with_a_closed_stdin_the_token_is_polled_for(service: Service, tmp_path: Path) -> None:
    words = [*COMMAND, "authorize", "--host", service.url, "--output", "json", "--timeout", "1"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words],
        env=with_key(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "There was no consent within 1 s" in done.stderr
