"""Run DAGs one after the other in this process, each with a new sandbox: Airflow starts slowly.

``python -m tests.e2e.all_examples SANDBOX '{"DAG_ID": "FILE", ...}' OUT`` writes as JSON each DAG's
tasks, as scripts.run_dag describes them, and what the sandbox has accepted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scripts.run_dag import run
from tests.conftest import Service


def main(sandbox: str, files: str, out: str) -> None:
    service, outcomes = Service(sandbox), {}
    for dag_id, file in json.loads(files).items():
        service.reset()
        tasks = run(file, dag_id, retries=0)["tasks"]
        outcomes[dag_id] = {"tasks": list(tasks.values()), "ledger": service.ledger()}
    Path(out).write_text(json.dumps(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
