"""Run a file's `dag` in this process, as `airflow dags test` does, and write one task's result as JSON.

usage: python -m scripts.run_dag DAG_FILE TASK_ID CONF_JSON RESULT_FILE
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path


def main(dag_file: str, task_id: str, conf: str, result_file: str) -> int:
    run = runpy.run_path(dag_file)["dag"].test(run_conf=json.loads(conf))
    if run.state != "success":
        return 1
    result = run.get_task_instance(task_id).xcom_pull(task_ids=task_id)
    Path(result_file).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
