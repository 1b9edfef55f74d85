"""Whatever a run leaves behind, at the most talkative log level: no secret is in it."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.rig import AirflowApi, airflow_env, connection_json, free_port, wait_for
from tests.conftest import BOAT, CREDENTIALS, SECRETS, Service, draw
from tests.e2e.conftest import make_pairs, replacements

pytestmark = pytest.mark.timeout(900)

DAG_ID = "every_ending"
WRONG_SECRET, PROXY_PASSWORD = "0a2b3c4d5e6a7b8d", "pr0xy-passw0rd"
FORBIDDEN = re.compile(
    "|".join((*SECRETS, WRONG_SECRET, PROXY_PASSWORD))
    + r"|api_sig\W{1,5}[0-9a-f]{32}|oauth_signature\W{1,5}\w|frob\W{1,5}\d"
)


@pytest.mark.parametrize(
    "line",
    [
        f"token={SECRETS[1]}",
        "/api/doc.get/json?api_sig=0123456789abcdef0123456789abcdef",
        "{'api_sig': '0123456789abcdef0123456789abcdef'}",
        'Authorization: OAuth oauth_signature="k%2F3"',
        "frob=12345-ab",
    ],
)
def test_what_is_looked_for_would_be_found(line: str) -> None:
    assert FORBIDDEN.search(line)


def left_behind(home: Path) -> Iterator[tuple[str, str]]:
    """Every file below Airflow's home, and its database as SQL: journals, XComs, templates."""
    for file in home.rglob("*"):
        if file.is_file() and not file.name.startswith("airflow.db"):
            yield str(file), file.read_bytes().decode(errors="replace")
    with sqlite3.connect(home / "airflow.db") as database:
        yield "database", "\n".join(database.iterdump())


def triggers(home: Path) -> dict[str, str]:
    """What the rows of the triggers hold that wait now; a deferring task's are not encrypted."""
    with sqlite3.connect(home / "airflow.db") as database:
        rows = database.execute("SELECT 'trigger ' || id, kwargs FROM trigger").fetchall()
    assert all(kwargs.startswith("{") for _, kwargs in rows)
    return dict(rows)


def shown(airflow: AirflowApi, run: str) -> Iterator[tuple[str, str]]:
    """What the API tells a user interface of the tasks, of their results and of the connections."""
    yield "connections", json.dumps(airflow.get("/connections", limit=100))
    for task in airflow.tasks(DAG_ID, run):
        yield task["task_id"], json.dumps(task)  # with its rendered templates
        path = f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/{task['task_id']}"
        for part in ("xcomEntries", "links"):
            yield part, json.dumps(airflow.get(f"{path}/{part}", map_index=task["map_index"]))
        if task["start_date"]:
            yield "log", airflow.log(DAG_ID, run, task["task_id"], map_index=task["map_index"])


def store(
    airflow: AirflowApi, remote: Service, conn_id: str, password: str | None = None, **extra: str
) -> str:
    connection = json.loads(connection_json(remote.url, **extra))
    if password:
        connection["password"] = password
    airflow.store_connection(conn_id, json.dumps(connection))
    return conn_id


def make_others(
    remote: Service, uploads: Path, home: Path, oauth: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Batches with reports and backups, one waiting in the worker, and a task that crashes."""
    *pairs, last = make_pairs(remote, uploads, 5)
    batches = [
        {
            "manifest": pairs[2 * number : 2 * number + 2],
            "report_to": str(home / f"reports/many-{number}.jsonl"),
            "backup_to": str(home / "backups"),
            "ipernity_conn_id": conn_id,
            "deferrable": deferrable,
        }
        for number, (conn_id, deferrable) in enumerate([(oauth, True), ("ipernity_stored", False)])
    ]
    return batches, [{**last, "ipernity_conn_id": "ipernity_stored", "deferrable": False}]


def test_no_secret_is_left_behind_by_runs_that_end_well_or_badly(
    airflow: AirflowApi, airflow_settings: dict[str, str], remote: Service, uploads: Path
) -> None:
    proxy = f"http://somebody:{PROXY_PASSWORD}@127.0.0.1:{free_port()}"
    oauth = store(airflow, remote, "by_oauth", **CREDENTIALS["oauth"])
    conn_ids = {
        "success": ["ipernity_stored", "ipernity_default", oauth],
        "failed": [
            store(airflow, remote, "ipernity_wrong_secret", password=WRONG_SECRET),
            store(
                airflow,
                remote,
                "ipernity_wrong_oauth",
                password=WRONG_SECRET,
                **CREDENTIALS["oauth"],
            ),
            store(airflow, remote, "behind_proxy", proxy=proxy),
        ],
    }
    ways = [
        (conn_id, deferrable)
        for ids in conn_ids.values()
        for conn_id in ids
        for deferrable in (True, False)
    ]
    pairs = make_pairs(remote, uploads, len(ways))
    runs = [
        {**pair, "ipernity_conn_id": conn_id, "deferrable": deferrable}
        for pair, (conn_id, deferrable) in zip(pairs, ways, strict=True)
    ]
    home = Path(airflow_settings["AIRFLOW_HOME"])
    batches, crashes = make_others(remote, uploads, home, oauth)
    # One more has its answer lost, and one is made a new document of: these fail behind the upload.
    remote.set(processing_seconds=300)
    run = airflow.trigger(
        DAG_ID, runs=runs, batches=batches, crashes=crashes, calls=["ipernity_stored", oauth]
    )
    waiting: dict[str, str] = {}
    waiting_ids = ("ipernity_stored", oauth)

    def both_kinds_of_accounts_wait() -> bool:
        waiting.update(triggers(home))
        return all(any(conn_id in row for row in waiting.values()) for conn_id in waiting_ids)

    wait_for("triggers", both_kinds_of_accounts_wait, 120, every=0.05)
    remote.set(processing_seconds=3)
    remote.finish_pending()
    assert airflow.wait_for_run(DAG_ID, run, seconds=300) == "failed"
    remote.set(replace_mode="new_document")
    lost = {"method": "upload.replace", "times": 1, "kind": "drop_after_accepting"}
    remote.set(faults=[lost])
    late = airflow.trigger(DAG_ID, runs=[{**runs[0], "if_unchanged": "replace"}])
    assert airflow.wait_for_run(DAG_ID, late, seconds=300) == "failed"

    endings = {
        (task["task_id"], task["map_index"]): task["state"] for task in airflow.tasks(DAG_ID, run)
    }
    for index, (conn_id, _) in enumerate(ways):
        assert conn_id in conn_ids[endings["replace", index]]
    assert [endings["many", index] for index in range(len(batches))] == ["success", "success"]
    assert endings["crash", 0] == "failed"
    # Six of the first run's, those of the batches, the crashed one's, and the late one's.
    assert len(replacements(remote)) == 6 + 2 * len(batches) + 1 + 1

    logs = [*waiting.items(), *left_behind(home)]
    for trace in ("api/upload.replace/json HTTP/1.1", "Fatal Python error: Aborted"):
        assert any(trace in text for _, text in logs), f"no log has {trace!r}"
    for place in ("reports/many-0.jsonl", "backups/"):
        assert any(place in name for name, _ in logs), f"nothing is at {place}"
    for run_id in (run, late):
        logs += shown(airflow, run_id)
    requests_seen = json.dumps(remote.requests())
    assert "signed" in requests_seen
    logs.append(("the sandbox's log of requests", requests_seen))
    found = [
        (place, text[max(0, hit.start() - 60) : hit.end() + 40])
        for place, text in logs
        for hit in FORBIDDEN.finditer(text)
    ]
    assert found == []


def test_the_sandbox_prints_no_secret(tmp_path: Path) -> None:
    out, picture, port = tmp_path / "out", draw(tmp_path / "boat.jpg", "#123456"), free_port()
    command = [sys.executable, "-m", "ipernity_provider.sandbox", "--port", str(port)]
    with out.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            wait_for("the sandbox", out.read_text, 20)
            service = Service(f"http://127.0.0.1:{port}")
            service.fail("drop_after_accepting", "doc.get")
            for auth in CREDENTIALS:
                with service.client(auth) as client:
                    client.get_document(BOAT)
                    client.upload_replace(BOAT, picture)
            assert len(service.ledger()) == 2
        finally:
            process.terminate()
    assert FORBIDDEN.findall(out.read_text()) == []


def test_a_probe_leaves_no_secret_behind(service: Service, tmp_path: Path) -> None:
    """Neither in its record, which a killed probe leaves, nor in its findings and its output."""
    service.set(processing_seconds=0.5, replace_mode="new_document")
    env = airflow_env(tmp_path) | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
    probe = ["airflow", "ipernity", "probe", "--yes"]
    texts = []
    for auth, credentials in CREDENTIALS.items():
        env["AIRFLOW_CONN_IPERNITY_DEFAULT"] = connection_json(service.url, **credentials)
        with subprocess.Popen(
            [*probe, "--media", "photo,audio"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                texts.append(line)
                if "replacing it by" in line:
                    process.kill()
        assert "replacing it by" in "".join(texts), texts
        (record,) = tmp_path.glob("state/*/*/probe.json")
        texts.append(record.read_text())
        saved = tmp_path / f"findings-{auth}.json"
        done = subprocess.run(
            [*probe, "--timeout", "10", "--save", str(saved)],
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        # The upload of the killed probe may not have arrived, and may still show up.
        assert done.returncode in {0, 1}, done.stderr
        assert json.loads(saved.read_text())["media"]["photo"]["replace"] == "new_document"
        texts += [done.stdout, done.stderr]
    texts += [
        file.read_bytes().decode(errors="replace") for file in tmp_path.rglob("*") if file.is_file()
    ]
    assert any("ipernity-probe-" in text for text in texts)
    assert [hit[0] for text in texts for hit in FORBIDDEN.finditer(text)] == []
