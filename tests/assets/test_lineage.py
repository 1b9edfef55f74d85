"""Lineage by the real provider, which writes to a file; and by Airflow's collector."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ipernity_provider.assets.changes import Change
from ipernity_provider.assets.lineage import openlineage_of
from scripts.rig import ROOT, airflow_env, connection_json, migrate
from tests.conftest import BOAT, Service, draw

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DAG = """
from airflow.sdk import DAG, task
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator

with DAG("lineage", schedule=None) as dag:
    @task
    def by_hook():
        from ipernity_provider.hooks.ipernity import IpernityHook

        IpernityHook().replace_file("5414", "{folder}/three.png")

    # First: Airflow's collector is one for the process, and dag.test() runs all tasks in it.
    by_hook() >> ReplaceFileOperator(task_id="one", doc_id="5412", file="{folder}/one.jpg") >> (
        ReplaceFilesOperator(
            task_id="many",
            manifest=[
                {{"doc_id": "5413", "file": "{folder}/two.jpg"}},
                {{"doc_id": "5412", "file": "{folder}/one.jpg"}},
            ],
        )
    )
"""


def test_openlineage_sees_files_become_documents(service: Service, tmp_path: Path) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    for name, colour in (("one.jpg", "#111111"), ("two.jpg", "#222222"), ("three.png", "#333333")):
        draw(tmp_path / name, colour)
    dags, events = tmp_path / "dags", tmp_path / "events.jsonl"
    dags.mkdir()
    (dags / "lineage.py").write_text(DAG.format(folder=tmp_path))
    env = airflow_env(
        tmp_path / "home",
        dags,
        AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url),
        AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(
            {"type": "file", "log_file_path": str(events), "append": True}
        ),
    )
    migrate(env)
    command = [sys.executable, "-m", "scripts.run_dag", str(dags / "lineage.py"), "lineage"]
    done = subprocess.run(
        [*command, str(tmp_path / "outcome.json")],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    complete = {}
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["eventType"] == "COMPLETE" and event["job"]["name"].startswith("lineage."):
            complete[event["job"]["name"].removeprefix("lineage.")] = event

    def names(task_id: str, side: str) -> list[tuple[str, str]]:
        return [(data["namespace"], data["name"]) for data in complete[task_id][side]]

    assert names("one", "inputs") == [("file", f"{tmp_path}/one.jpg")]
    assert names("one", "outputs") == [("ipernity://www.ipernity.com", f"doc/{BOAT}")]
    # The manifest's second document was unchanged.
    assert names("many", "inputs") == [("file", f"{tmp_path}/two.jpg")]
    assert names("many", "outputs") == [("ipernity://www.ipernity.com", "doc/5413")]
    assert ("file", f"{tmp_path}/three.png") in names("by_hook", "inputs")
    assert names("by_hook", "outputs") == [("ipernity://www.ipernity.com", "doc/5414")]
    with service.client() as client:
        document = client.get_document(BOAT)
    (output,) = complete["one"]["outputs"]
    assert output["facets"]["version"]["datasetVersion"] == document.md5
    assert output["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "OVERWRITE"
    assert output["outputFacets"]["outputStatistics"]["size"] == document.bytes


@pytest.mark.unit
def test_a_key_in_object_storage_is_named_as_it_is() -> None:
    pytest.importorskip("airflow.providers.openlineage")
    facts = dict.fromkeys(Change.__dataclass_fields__) | {
        "doc_id": BOAT,
        "file": "s3://bucket/a folder/50%#1.jpg",
    }
    (dataset,) = openlineage_of([Change(**facts)]).inputs  # type: ignore[arg-type]
    assert (dataset.namespace, dataset.name) == ("s3://bucket", "a folder/50%#1.jpg")


@pytest.mark.socket
def test_without_the_provider_openlineage_nothing_of_it_is_looked_for(
    service: Service, picture: Path, tmp_path: Path
) -> None:
    code = f"""
import sys
for name in ("openlineage", "airflow.providers.openlineage.extractors"):
    sys.modules[name] = None  # as if it were not installed
from ipernity_provider.operators.ipernity import ReplaceFileOperator
from tests.operators.test_operator import context
task = ReplaceFileOperator(task_id="replace", doc_id="5412", file={str(picture)!r})
print(task.execute(context())["outcome"])
"""
    env = airflow_env(tmp_path / "home", AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url))
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=env
    )
    assert found.stdout.splitlines()[-1:] == ["replaced"], found.stderr[-2000:]
