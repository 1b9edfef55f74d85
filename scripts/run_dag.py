"""Run a DAG in this process, as `airflow dags test` does, and write as JSON what became of it.

The file holds the run's ``state``, and under ``tasks`` each task's ``state``, its number of
``tries`` and its ``result``.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from pathlib import Path
from typing import Any

from airflow.sdk import DAG


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a DAG in this process.")
    parser.add_argument("dag_file")
    parser.add_argument("dag_id")
    parser.add_argument("outcome_file", type=Path)
    parser.add_argument("--conf", type=json.loads, default={}, help="the run's parameters, as JSON")
    parser.add_argument("--retries", type=int, help="for all tasks, in place of their own")
    options = parser.parse_args()
    outcome = run(options.dag_file, options.dag_id, options.conf, options.retries)
    options.outcome_file.write_text(json.dumps(outcome))
    return 0 if outcome["state"] == "success" else 1


def run(
    dag_file: str, dag_id: str, conf: dict[str, Any] | None = None, retries: int | None = None
) -> dict[str, Any]:
    """Run a DAG and return what the module says.

    :param retries: for all tasks, in place of their own.
    """
    (dag,) = (
        found
        for found in runpy.run_path(dag_file).values()
        if isinstance(found, DAG) and found.dag_id == dag_id
    )
    if retries is not None:
        for task in dag.tasks:
            task.retries = retries
    dag_run = dag.test(run_conf=conf or {})
    tasks = {
        task.task_id: {
            "state": task.state,
            "tries": task.try_number,
            "result": task.xcom_pull(task_ids=task.task_id),
        }
        for task in dag_run.get_task_instances()
    }
    return {"state": dag_run.state, "tasks": tasks}


if __name__ == "__main__":
    sys.exit(main())
