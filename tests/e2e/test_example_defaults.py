"""Each example by `dag.test()`, its form as it is: no scheduler, no triggerer, no retry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from ipernity_provider.sandbox import running_sandbox
from scripts.rig import EXAMPLES, ROOT, airflow_env, connection_json, migrate
from scripts.ui import prepare

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


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """DAG -> its tasks, and what the service has accepted; run with the files of `make ui`."""
    home = tmp_path_factory.mktemp("airflow")
    files = {dag_id: str(FILES[dag_id]) for dag_id in REPLACED}
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
        module = [sys.executable, "-m", "tests.e2e.all_examples"]
        command = [*module, sandbox, json.dumps(files), str(home / "out")]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return dict(json.loads((home / "out").read_text()))


@pytest.mark.parametrize("dag_id", REPLACED)
def test_an_example_is_green_without_retries_and_with_its_defaults(
    outcomes: dict[str, Any], dag_id: str
) -> None:
    outcome = outcomes[dag_id]
    assert {(task["state"], task["tries"]) for task in outcome["tasks"]} == {("success", 1)}
    sent_for = [
        entry["doc_id"] for entry in outcome["ledger"] if entry["method"] == "upload.replace"
    ]
    assert sorted(sent_for) == REPLACED[dag_id]


def test_all_examples_are_known() -> None:
    assert FILES.keys() == REPLACED.keys() | WAITS_FOR_A_PERSON
