"""A token that was consented to is not lost, and nobody else's connection is."""

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
    assert_one_sentence,
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


def kept_in_a_file(service: Service, said: str, conn_id: str) -> None:
    last = said.splitlines(keepends=True)[-1]
    assert_one_sentence(last)
    assert_no_secret(said)
    path = Path(last.partition(" is kept in ")[2].partition(",")[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    stored = json.loads(path.read_text())
    path.unlink()
    service_client_works(service, json.dumps(stored[conn_id]))


def test_a_database_that_is_locked_costs_no_token(
    service: Service, migrated: Path, database: sqlite3.Connection
) -> None:
    with running(with_key(migrated), "authorize", "--host", service.url) as command:
        click(command.consent_url())
        database.execute("begin exclusive")
        code, out, err = command.end("\n")
        database.execute("rollback")
    assert (code, out) == (1, "")
    assert "could not be stored: Airflow's database cannot be used (OperationalError)" in err
    kept_in_a_file(service, err, "ipernity_default")


def test_a_connection_that_somebody_makes_meanwhile_is_left_alone(
    service: Service, migrated: Path, database: sqlite3.Connection
) -> None:
    with running(with_key(migrated), "authorize", "--host", service.url, "--conn-id", "race") as command:
        click(command.consent_url())
        database.execute(
            "insert into connection (conn_id, conn_type, host, is_encrypted, is_extra_encrypted) "
            "values ('race', 'http', 'example.org', 0, 0)"
        )
        code, out, err = command.end("\n")
    assert (code, out) == (1, "")
    assert "Somebody has made a connection 'race' meanwhile" in err
    kept_in_a_file(service, err, "race")
    assert database.execute("select conn_type, host from connection").fetchall() == [("http", "example.org")]


def test_a_token_is_given_out_before_it_is_checked(service: Service, tmp_path: Path) -> None:
    service.fail("code:503", "auth.checkToken")
    with running(with_key(tmp_path), "authorize", "--host", service.url, "--output", "json") as command:
        click(command.consent_url())
        code, out, err = command.end("\n")
    assert (code, "it could not be checked" in err) == (1, True)
    service_client_works(service, out)


def test_what_a_secrets_backend_has_would_hide_a_stored_connection(
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
    assert_one_sentence(done.stderr)
    assert "is in a secrets backend (LocalFilesystemBackend), which would hide" in done.stderr
    assert service.calls() == {}


def test_a_key_that_encrypts_nothing_is_told_before_the_consent(service: Service, migrated: Path) -> None:
    env = with_key(migrated, AIRFLOW__CORE__FERNET_KEY="garbage")
    done = run(env, "authorize", "--host", service.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_sentence(done.stderr)
    assert "check [core] fernet_key" in done.stderr
    assert service.calls() == {}


def test_the_key_that_encrypts_is_kept_where_there_was_no_configuration_file(
    service: Service, tmp_path: Path
) -> None:
    env = with_key(tmp_path)
    migrate(env)
    (tmp_path / "airflow.cfg").unlink(missing_ok=True)
    with running(env, "authorize", "--host", service.url) as command:
        click(command.consent_url())
        assert command.end("\n")[0] == 0
    assert run(env, "check").returncode == 0


def test_a_connection_that_another_key_has_encrypted_is_not_called_missing(
    service: Service, migrated: Path, database: sqlite3.Connection
) -> None:
    with running(with_key(migrated), "authorize", "--host", service.url) as command:
        click(command.consent_url())
        assert command.end("\n")[0] == 0
    env = with_key(migrated, AIRFLOW__CORE__FERNET_KEY="cFRlc3RrZXktdGVzdGtleS10ZXN0a2V5LTAxMjM0NTY=")
    done = run(env, "check")
    assert done.returncode == 2
    assert "cannot be read (InvalidToken): is the Fernet key" in done.stderr
    missing = run(with_key(migrated), "check", "--conn-id", "none")
    assert missing.stderr == "Connection 'none' is not defined: `airflow ipernity authorize` makes it.\n"


def test_a_browser_writes_nothing_into_the_result(service: Service, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "Opening in existing browser session."\nexec sleep 30\n')
    browser.chmod(0o755)
    env = with_key(tmp_path, BROWSER=f"{browser} %s &")
    with running(env, "authorize", "--host", service.url, "--output", "json") as command:
        click(command.consent_url())
        code, out, _ = command.end("\n")
    assert code == 0
    service_client_works(service, out)


def test_without_a_stdin_the_consent_is_waited_for(service: Service, tmp_path: Path) -> None:
    words = [*COMMAND, "authorize", "--host", service.url, "--output", "json", "--timeout", "1"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words],
        env=with_key(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "No consent came within 1 s" in done.stderr
