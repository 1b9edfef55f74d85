"""``airflow ipernity probe`` as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.__main__ import main
from scripts.rig import connection_json, migrate
from tests.cli.commandline import (
    COMMAND,
    Command,
    assert_no_secret,
    assert_one_line,
    environment,
    run,
)
from tests.conftest import Connect, Service
from tests.probe.support import own_documents
from tests.probe.test_probing import SEEDS
from tests.replacement.test_new_document_known import findings

DELETE = {"doc": "delete"}


def of_sandbox(service: Service, home: Path) -> dict[str, str]:
    return environment(
        home,
        AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url),
        XDG_STATE_HOME=str(home / "state"),
    )


def records(home: Path) -> list[Path]:
    return list((home / "state").rglob("*.json"))


def test_the_table_is_for_a_person_and_the_file_for_the_sandbox(
    service: Service, command: Command, tmp_path: Path
) -> None:
    service.set(permissions=DELETE, replace_mode="new_document", processing_seconds=0)
    file = tmp_path / "findings.json"
    done = command("probe", "--yes", "--media", "photo", "--save", str(file))
    assert done == 0, command.err
    lines = command.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "  replacing                   makes a new document; the old one stays as it is" in lines
    assert "Replacing makes a new document of: photo." in command.out
    assert "Deleting document" in command.err
    assert_no_secret(file.read_text())
    assert json.loads(file.read_text())["media"]["photo"]["replace"] == "new_document"
    assert own_documents(service) == SEEDS
    assert records(tmp_path) == []
    assert not (tmp_path / "ipernity").exists()


def test_findings_can_be_had_as_json_and_documents_stay_without_the_permission_to_delete(
    service: Service, command: Command
) -> None:
    service.set(processing_seconds=0)
    assert command("probe", "--yes", "--json") == 0, command.err
    assert json.loads(command.out)["facts"]["doc_permission"] == "write"
    (made,) = own_documents(service) - SEEDS
    page = f"{service.url}/doc/1234/{made}"
    assert f"document {made} ({page}): the token may not delete" in command.err
    service.set(permissions=DELETE)
    assert command("probe", "--clean-up", "--yes") == 0, command.err
    assert own_documents(service) == SEEDS
    assert command("probe", "--clean-up", "--yes") == 0
    assert command.err == "No earlier probe of this account has left anything.\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "There is no terminal to ask at"),
        (("--media", "photo,film"), "not a list of these: photo, audio, video, document"),
        (("--media", ""), "not a list of these"),
        (("--timeout", "0"), "--timeout must be above 0"),
    ],
)
def test_what_cannot_start_is_said_before_anything_is_sent(
    service: Service, command: Command, options: tuple[str, ...], sentence: str
) -> None:
    assert (command("probe", *options), command.out) == (2, "")
    assert sentence in command.err
    assert_one_line(command.err.splitlines(keepends=True)[-1])
    assert service.ledger() == []


def test_a_token_that_may_not_write_is_one_line(service: Service, command: Command) -> None:
    service.set(permissions={"doc": "read"})
    assert (command("probe", "--yes"), command.out) == (1, "")
    assert "The token allows doc: read, but the probe sends files" in command.err
    assert "Nothing was sent." in command.err


def start(service: Service, home: Path) -> tuple[subprocess.Popen[bytes], Callable[[str], str]]:
    """Run the probe at a terminal; return it, and a function that reads until a text appears."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "probe", "--timeout", "5"],
        env=of_sandbox(service, home),
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    )
    os.close(end)
    shown = ""

    def read_until(text: str) -> str:
        nonlocal shown
        while text not in shown:
            shown += os.read(terminal, 4096).decode()
        if text.endswith("[y/N]"):
            os.write(terminal, b"y\n")
        return shown

    return process, read_until


def test_it_explains_and_asks_first_and_ctrl_c_cleans_up(service: Service, tmp_path: Path) -> None:
    service.set(permissions=DELETE, processing_seconds=1)
    process, read_until = start(service, tmp_path)
    shown = read_until("Probe this account? [y/N]")
    assert "with the account of Superman" in shown
    assert "At the end it deletes what it made." in shown
    assert service.ledger() == []
    read_until("replacing it by")
    process.send_signal(signal.SIGINT)
    read_until("Interrupted.")
    assert process.wait(30) == 130
    assert own_documents(service) == SEEDS
    # Where it was interrupted while it sent, the next start looks again for what may have arrived.
    for record in records(tmp_path):
        attempts = json.loads(record.read_text())["attempts"]
        assert [one["doc_id"] for one in attempts] == [None]


def test_a_killed_probe_is_cleaned_up_by_the_next_start(service: Service, tmp_path: Path) -> None:
    service.set(permissions=DELETE, processing_seconds=0.2, replace_mode="new_document")
    process, read_until = start(service, tmp_path)
    read_until("Probe this account? [y/N]")
    read_until("async=0")
    process.kill()
    process.wait()
    assert len(own_documents(service) - SEEDS) >= 2
    (record,) = records(tmp_path)
    account = f"{service.url.partition('://')[2].replace(':', '_')}-1234"
    assert record.parts[-3:] == ("airflow-provider-ipernity", account, "probe.json")
    process, read_until = start(service, tmp_path)
    shown = read_until("Look for them and delete them? [y/N]")
    assert "An earlier probe may have left" in shown
    read_until("Probe this account? [y/N]")
    assert own_documents(service) == SEEDS
    read_until("replacing it by")
    process.kill()
    process.wait()


def test_a_record_of_the_first_edition_is_found_and_cleaned_up(
    service: Service, command: Command, tmp_path: Path
) -> None:
    service.set(processing_seconds=0)
    assert command("probe", "--yes") == 0, command.err
    assert len(own_documents(service) - SEEDS) == 1
    (record,) = records(tmp_path)
    earlier = tmp_path / "ipernity" / "probe-ipernity_default.json"
    earlier.parent.mkdir()
    record.rename(earlier)
    service.set(permissions=DELETE)
    done = run(of_sandbox(service, tmp_path), "probe", "--clean-up", "--yes")
    assert done.returncode == 0, done.stderr
    assert "An earlier probe may have left" in done.stderr
    assert own_documents(service) == SEEDS
    assert not earlier.exists()


def test_findings_are_stored_and_read_again(service: Service, tmp_path: Path) -> None:
    service.set(permissions=DELETE, processing_seconds=0, replace_mode="new_document")
    env = environment(tmp_path)
    migrate(env)
    unknown = run(env, "probe", "--conn-id", "probed")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "'probed' is not" in unknown.stderr
    elsewhere = env | {"AIRFLOW_CONN_PROBED": connection_json(service.url)}
    hidden = run(elsewhere, "probe", "--conn-id", "probed", "--yes", "--store")
    assert (hidden.returncode, hidden.stdout) == (2, "")
    assert "does not come from Airflow's database" in hidden.stderr
    assert service.ledger() == []
    added = subprocess.run(
        ["airflow", "connections", "add", "probed", "--conn-json", connection_json(service.url)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert added.returncode == 0, added.stderr
    before = run(env, "check", "--conn-id", "probed")
    assert "It is not known whether this account replaces files in place" in before.stdout
    done = run(env, "probe", "--conn-id", "probed", "--yes", "--store")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("The findings are stored in the connection 'probed'.\n")
    after = run(env, "check", "--conn-id", "probed")
    assert after.returncode == 0, after.stdout + after.stderr
    assert "gets a new document for: photo" in after.stdout
    again = run(env, "probe", "--conn-id", "probed", "--yes", "--json")
    assert json.loads(again.stdout)["media"]["photo"]["replace"] == "new_document"


@pytest.mark.parametrize(
    ("replacing", "status", "words"),
    [
        ("in_place", "ok", "replaces in place: photo"),
        ("new_document", "warning", "gets a new document for: photo"),
        ("refused:6", "warning", "was not seen to replace a file"),
    ],
)
def test_check_says_what_was_found(
    connect: Connect, capsys: pytest.CaptureFixture[str], replacing: str, status: str, words: str
) -> None:
    connect(findings=findings(replacing))
    main(["check", "--json"])
    checks: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["checks"]
    assert checks[-1]["check"] == "probe"
    assert checks[-1]["status"] == status
    assert words in checks[-1]["sentence"]
