"""Each example by `dag.test()`, its form as it is: no scheduler, no triggerer, no retry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ipernity_provider.sandbox import running_sandbox
from scripts.rig import EXAMPLES, ROOT, airflow_env, connection_json, migrate
from scripts.ui import prepare
from tests.conftest import Service
from tests.e2e.conftest import replacements

pytestmark = pytest.mark.timeout(300)

#: The DAGs, and the documents whose files they replace with the values that their forms begin with.
REPLACED = {
    "ipernity_replace_file": ["5412"],
    "ipernity_replace_with_backup": ["5413"],
    "ipernity_restore_backup": [],  # it still carries what the backup holds
    "ipernity_nightly_refresh": ["5414", "5415"],
    "ipernity_replace_many": ["5414", "5415"],
    "ipernity_chart_draw": [],
    "ipernity_chart_replace": ["5412"],
    "ipernity_chart_notify": [],  # no event has started it
    "ipernity_refresh_on_asset": ["5412"],
}
#: Not among them: it waits for a person, see test_approval.
WAITS_FOR_A_PERSON = {"ipernity_approve"}
FILES = {
    dag_id: file
    for file in sorted(EXAMPLES.glob("*.py"))
    for dag_id in re.findall(r'\bDAG\(\s*"(\w+)"', file.read_text(encoding="utf-8"))
}


@dataclass(frozen=True)
class Prepared:
    """An Airflow of which nothing runs, the files of `make ui`, and a sandbox."""

    env: dict[str, str]
    service: Service


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    home = tmp_path_factory.mktemp("airflow")
    with running_sandbox(settings={"processing_seconds": 3.0}) as sandbox:
        prepare(home / "pictures", sandbox)
        env = airflow_env(
            home,
            IPERNITY_FOLDER=str(home / "pictures"),
            AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(
                sandbox, upload_roots=[str(home / "pictures")]
            ),
        )
        migrate(env)
        yield Prepared(env, Service(sandbox))


@pytest.mark.parametrize("dag_id", REPLACED)
def test_an_example_is_green_without_retries_and_with_its_defaults(
    prepared: Prepared, dag_id: str, tmp_path: Path
) -> None:
    prepared.service.reset()
    outcome = tmp_path / "outcome.json"
    command = [sys.executable, "-m", "scripts.run_dag", str(FILES[dag_id]), dag_id, str(outcome)]
    done = subprocess.run(
        [*command, "--retries", "0"], cwd=ROOT, env=prepared.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    tasks = json.loads(outcome.read_text())["tasks"].values()
    assert {(task["state"], task["tries"]) for task in tasks} == {("success", 1)}
    assert sorted(entry["doc_id"] for entry in replacements(prepared.service)) == REPLACED[dag_id]


def test_all_examples_are_known() -> None:
    assert FILES.keys() == REPLACED.keys() | WAITS_FOR_A_PERSON
