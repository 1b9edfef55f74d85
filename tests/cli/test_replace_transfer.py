"""``replace --on-new-document transfer``: the command remembers in Airflow's database."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.rig import connection_json, migrate
from tests.cli.commandline import environment, run
from tests.conftest import BOAT, Service, draw


def test_the_second_command_goes_to_the_successor(service: Service, tmp_path: Path) -> None:
    service.set(replace_mode="new_document")
    env = environment(tmp_path) | {
        "AIRFLOW_CONN_IPERNITY_DEFAULT": connection_json(service.url),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    migrate(env)
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
