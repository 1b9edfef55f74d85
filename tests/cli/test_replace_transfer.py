"""``replace`` and ``restore`` with transfers: the commands remember in Airflow's database."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ipernity_provider.api.details import PRIVATE, Visibility, get_details
from scripts.rig import connection_json, migrate
from tests.cli.commandline import environment, run
from tests.conftest import BOAT, Service, draw


@pytest.fixture
def env(service: Service, tmp_path: Path) -> dict[str, str]:
    service.set(replace_mode="new_document", processing_seconds=0.05)
    env = environment(tmp_path) | {
        "AIRFLOW_CONN_IPERNITY_DEFAULT": connection_json(service.url),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    migrate(env)
    return env


def test_the_second_command_goes_to_the_successor(
    service: Service, env: dict[str, str], tmp_path: Path
) -> None:
    results = []
    for shade in ("10", "20"):
        file = draw(tmp_path / f"{shade}.jpg", f"#{shade}0000")
        command = ["replace", BOAT, str(file), "--on-new-document", "transfer", "--yes", "--json"]
        done = run(env, *command)
        assert done.returncode == 0, done.stderr
        assert "1 note, 2 albums, 1 group. Document" in done.stderr
        results.append(json.loads(done.stdout))
    assert [result["outcome"] for result in results] == ["transferred", "transferred"]
    assert [result["doc_id"] for result in results] == [BOAT, BOAT]
    assert [entry["doc_id"] for entry in service.ledger()] == [BOAT, results[0]["new_doc_id"]]


def md5_of(service: Service, doc_id: str) -> str | None:
    with service.client() as client:
        return client.get_document(doc_id).md5


def visibility(service: Service, doc_id: str) -> Visibility | None:
    with service.client() as client:
        return get_details(client, doc_id).visibility


def test_restoring_goes_to_the_document_that_people_see(
    service: Service, env: dict[str, str], tmp_path: Path
) -> None:
    with service.client() as client:
        client.call("doc.setPerms", doc_id=BOAT, is_public=1, is_family=0, is_friend=0)
    original = md5_of(service, BOAT)
    file, backups = draw(tmp_path / "new.jpg", "#100000"), tmp_path / "backups"
    command = ["replace", BOAT, str(file), "--on-new-document", "transfer", "--yes", "--json"]
    done = run(env, *command, "--backup-to", str(backups))
    assert done.returncode == 0, done.stderr
    successor = json.loads(done.stdout)["new_doc_id"]
    (backup,) = backups.iterdir()
    assert backup.name.startswith(f"{BOAT}-{original}-")
    assert md5_of(service, BOAT) == original  # it was never replaced, and is private now

    planned = run(env, "restore", str(backup), "--dry-run")
    assert planned.returncode == 0, planned.stderr
    count, plan = planned.stderr.splitlines()
    assert count == "1 to restore, 0 unchanged."
    assert plan.startswith(f"  Document {BOAT}: {backup} (76,046 bytes)")
    assert plan.endswith(f", to document {successor}, which has taken its place")
    assert len(service.ledger()) == 1

    restored = run(env, "restore", str(backup), "--on-new-document", "transfer", "--yes")
    assert restored.returncode == 0, restored.stderr
    assert [entry["doc_id"] for entry in service.ledger()] == [BOAT, successor]
    (newest,) = {entry["new_doc_id"] for entry in service.ledger()} - {successor, None}
    assert md5_of(service, newest) == original
    assert [visibility(service, one) for one in (BOAT, successor, newest)] == [
        PRIVATE,
        PRIVATE,
        (True, False, False),
    ]
    again = run(env, "restore", str(backup), "--on-new-document", "transfer", "--yes")
    assert (again.returncode, again.stderr) == (0, "0 to restore, 1 unchanged.\n")
    assert len(service.ledger()) == 2

    # A command that died within the transfer has left it unfinished.
    host = service.url.partition("://")[2].replace(":", "-")
    known = json.dumps({"successor": newest, "visibility": [True, False, False]})
    command = ["airflow", "variables", "set", f"ipernity_{host}_{successor}", known]
    assert subprocess.run(command, env=env, capture_output=True).returncode == 0
    with service.client() as client:
        client.call("doc.set", doc_id=newest, title="")
    finished = run(env, "restore", str(backup), "--on-new-document", "transfer", "--yes")
    assert (finished.returncode, len(service.ledger())) == (0, 2), finished.stderr
    with service.client() as client:
        assert client.get_document(newest).title == "A boat"


def test_two_backups_for_one_document_are_not_restored(
    service: Service, env: dict[str, str], tmp_path: Path
) -> None:
    rows = []
    for doc_id in (BOAT, "5413"):
        variable = f"ipernity_{service.url.partition('://')[2].replace(':', '-')}_{doc_id}"
        env |= {f"AIRFLOW_VAR_{variable.upper()}": '{"successor": "5414", "transferred": true}'}
        backup = str(draw(tmp_path / f"{doc_id}.jpg", f"#{doc_id}00"))
        row = {"doc_id": doc_id, "backup": backup, "md5": None}
        rows.append(json.dumps(row | {"md5_before": None, "md5_after": None}))
    report = tmp_path / "report.jsonl"
    report.write_text("\n".join(rows))
    done = run(env, "restore", str(report), "--yes")
    assert done.returncode == 1
    both = f"Document 5413 and document {BOAT} are one by now, 5414: restore one of them."
    assert both in done.stderr
    assert "1 of 2 cannot be restored. Nothing was sent." in done.stderr
    assert service.ledger() == []


def test_without_a_database_nothing_is_transferred_and_a_document_is_restored_itself(
    service: Service, tmp_path: Path
) -> None:
    env = environment(tmp_path) | {
        "AIRFLOW_CONN_IPERNITY_DEFAULT": connection_json(service.url),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    backup = draw(tmp_path / f"{BOAT}-unknown-20261127T152927Z.jpg", "#100000")
    for command in (["replace", BOAT, str(backup)], ["restore", str(backup)]):
        done = run(env, *command, "--on-new-document", "transfer", "--yes")
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot be read (OperationalError, MetastoreBackend). Nothing was sent." in (
            done.stderr
        )
    assert service.ledger() == []
    done = run(env, "restore", str(backup), "--yes")
    assert done.returncode == 0, done.stderr
    unknown = "It is not known whether other documents have taken the place of these. Airflow's"
    assert done.stderr.startswith(unknown)
    assert [entry["doc_id"] for entry in service.ledger()] == [BOAT]
