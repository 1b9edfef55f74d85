"""`make ui`, opened in a browser: nothing is red, and each example is green as it is."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from scripts.rig import COMPONENTS, ROOT, AirflowApi, wait_for
from tests.conftest import Service
from tests.e2e.browser.conftest import Snap
from tests.e2e.browser.pages import GREEN, Connections, Dag
from tests.e2e.conftest import env_below, replacements, running_below

pytestmark = pytest.mark.timeout(900)

#: The examples in the order in which they are triggered, with their tasks.
EXAMPLES = {
    "ipernity_replace_file": ["replace"],
    "ipernity_replace_with_backup": ["replace"],
    "ipernity_restore_backup": ["newest_backup", "restore"],
    "ipernity_nightly_refresh": ["replace"],
    "ipernity_replace_many": ["volume", "replace"],
    "ipernity_chart_draw": ["draw_chart"],
    "ipernity_chart_replace": ["replace"],
    "ipernity_chart_notify": ["tell_people"],
    "ipernity_refresh_on_asset": ["replace"],
}
#: It waits for a person, see test_approval.
WAITS_FOR_A_PERSON = "ipernity_approve"
SCHEDULED = {
    "ipernity_nightly_refresh",
    "ipernity_replace_many",
    "ipernity_chart_draw",
    "ipernity_chart_replace",
    "ipernity_chart_notify",
    "ipernity_refresh_on_asset",
}


@dataclass(frozen=True)
class Showcase:
    airflow: AirflowApi
    service: Service
    files: Path


@pytest.fixture(scope="module")
def showcase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showcase]:
    """What `make ui` starts, with the addresses that it prints; on Ctrl-C nothing of it is left."""
    temp = tmp_path_factory.mktemp("ui")
    command = [sys.executable, "-m", "scripts.ui"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=env_below(temp),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as ui:
        assert ui.stdout is not None
        printed: dict[str, str] = {}
        try:
            while not (line := ui.stdout.readline()).startswith("Press Trigger"):
                assert line, "make ui has ended"
                if found := re.fullmatch(r"  (\w+) +(\S+).*\n", line):
                    printed[found[1]] = found[2]
            with closing(AirflowApi(printed["Airflow"].removesuffix("/dags"))) as airflow:
                airflow.wait_for_dags(*EXAMPLES)
                yield Showcase(airflow, Service(printed["sandbox"]), Path(printed["files"]))
        finally:
            ui.send_signal(signal.SIGINT)
            assert ui.wait(timeout=60) == 0
    assert running_below(temp) == []
    assert list(temp.iterdir()) == []


def all_runs(airflow: AirflowApi) -> list[tuple[str, str, str]]:
    runs = airflow.get("/dags/~/dagRuns", limit=100)["dag_runs"]
    return sorted((run["dag_id"], run["run_type"], run["state"]) for run in runs)


def is_on(airflow: AirflowApi, dag_id: str) -> bool:
    return not airflow.get(f"/dags/{dag_id}")["is_paused"]


def test_at_first_everything_is_healthy_and_nothing_has_run(showcase: Showcase, page: Page) -> None:
    page.goto(showcase.airflow.base)
    for part in ("MetaDatabase", "Scheduler", "Triggerer", "Dag Processor"):
        expect(page.get_by_text(part, exact=True)).to_be_visible()
    health = showcase.airflow.get("/monitor/health")
    assert {part: health[part]["status"] for part in COMPONENTS} == dict.fromkeys(
        COMPONENTS, "healthy"
    )
    page.goto(f"{showcase.airflow.base}/dags")
    expect(page.get_by_role("heading", name=f"{len(EXAMPLES) + 1} Dags")).to_be_visible()
    expect(page.get_by_text("Dag Import Error")).to_have_count(0)
    paused = {dag["dag_id"]: dag["is_paused"] for dag in showcase.airflow.get("/dags")["dags"]}
    assert paused == {dag_id: dag_id in SCHEDULED for dag_id in (*EXAMPLES, WAITS_FOR_A_PERSON)}
    assert all_runs(showcase.airflow) == []


def test_the_connection_is_there_and_its_test_is_green(showcase: Showcase, page: Page) -> None:
    connections = Connections(page, showcase.airflow)
    icon, sentence = connections.test("ipernity_default")
    expect(sentence).to_contain_text("The token belongs to Superman.")
    expect(icon).to_have_css("color", GREEN)
    extra = showcase.airflow.get("/connections/ipernity_default")["extra"]
    assert f'"upload_roots": ["{showcase.files}"]' in extra


def test_every_example_is_green_at_its_first_try_with_its_form_as_it_is(
    showcase: Showcase, page: Page
) -> None:
    for dag_id, task_ids in EXAMPLES.items():
        dag = Dag(page, showcase.airflow, dag_id)
        dag.open_form()
        run = dag.trigger()
        wait_for("the DAG to be on", lambda dag_id=dag_id: is_on(showcase.airflow, dag_id), 30)
        page.goto("about:blank")  # a run's page asks Airflow all the time
        assert showcase.airflow.wait_for_run(dag_id, run["dag_run_id"]) == "success"
        tasks = showcase.airflow.tasks(dag_id, run["dag_run_id"])
        seen = {task["task_id"]: (task["state"], task["try_number"]) for task in tasks}
        assert seen == dict.fromkeys(task_ids, ("success", 1))
    # Two examples have the same manifest, and two the same chart: the second one of each finds its
    # documents unchanged.
    newest = max(
        (showcase.files / "backups").iterdir(), key=lambda backup: backup.name.split("-")[2]
    )
    boat, mountains, restored, *listed, chart = (
        (entry["doc_id"], entry["filename"]) for entry in replacements(showcase.service)
    )
    assert (boat, mountains) == (("5412", "boat.jpg"), ("5413", "mountains.jpg"))
    assert restored == ("5413", newest.name)
    assert chart == ("5412", "chart.png")
    assert sorted(listed) == [("5414", "meadow.png"), ("5415", "night_city.jpg")]
    (report,) = (showcase.files / "reports").iterdir()
    rows = map(json.loads, report.read_text().splitlines())
    assert [row["outcome"] for row in rows] == ["unchanged", "unchanged"]
    assert all_runs(showcase.airflow) == sorted(
        (dag_id, "manual", "success") for dag_id in EXAMPLES
    )

    page.goto(showcase.airflow.base)
    expect(page.get_by_role("link", name="Failed Dags")).to_have_text(re.compile(r"^0\D*$"))
    page.goto(f"{showcase.airflow.base}/task_instances")
    expect(page.get_by_role("row").filter(has_text="Success")).to_have_count(
        sum(map(len, EXAMPLES.values()))
    )


def test_the_page_of_an_asset_shows_the_chain_and_the_change(
    showcase: Showcase, page: Page, snap: Snap
) -> None:
    """The chain of the chart has run by then."""
    (document,) = showcase.airflow.get("/assets", name_pattern="/doc/5412")["assets"]
    page.set_viewport_size({"width": 1400, "height": 900})
    page.goto(f"{showcase.airflow.base}/assets/{document['id']}")
    for name in ("draw a chart", "replace the chart", "tell about a new chart"):
        expect(page.get_by_role("link", name=f"ipernity: {name}")).to_be_visible()
    expect(page.get_by_role("link", name="ipernity_chart", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="ipernity_chart_replace", exact=True)).to_be_visible()
    snap(page, "asset-chain", width=1400, height=900)
