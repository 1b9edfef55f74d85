"""An Airflow of its own for the tests of the view: empty at first, then with replacements."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from ipernity_provider.sandbox import running_sandbox
from scripts.rig import EXAMPLES, AirflowApi, airflow_env, connection_json, running_airflow
from scripts.ui import prepare
from tests.conftest import Service

DAGS = ("ipernity_replace_file", "ipernity_replace_many", "ipernity_replace_with_backup", "private")
FILES = (
    EXAMPLES / "ipernity_replace_file.py",
    EXAMPLES / "ipernity_replace_many.py",
    EXAMPLES / "ipernity_backup_and_restore.py",
    Path(__file__).parent.parent / "dags/private.py",
)


@dataclass
class View:
    """An Airflow of its own, the runs that it has made, and what they have worked on."""

    airflow: AirflowApi
    service: Service
    files: Path
    env: dict[str, str]
    runs: dict[str, str] = field(default_factory=dict)

    def run(self, name: str, dag_id: str, state: str = "success", **conf: str) -> None:
        self.runs[name] = run_id = self.airflow.trigger(dag_id, **conf)
        assert self.airflow.wait_for_run(dag_id, run_id) == state

    @property
    def entries(self) -> int:
        """How many tasks are listed; the DAG ``private`` has three."""
        return len(self.runs) + 2 * ("private" in self.runs)

    def tab(self, name: str, dag_id: str, task_id: str = "replace") -> str:
        """The view's tab on a task instance."""
        run_id = quote(self.runs[name])
        path = f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/plugin/ipernity-replacement"
        return f"{self.airflow.base}{path}"


@pytest.fixture(scope="package")
def view(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    home = tmp_path_factory.mktemp("view")
    dags = home / "dags"
    dags.mkdir()
    for file in FILES:
        shutil.copy(file, dags)
    with (
        TemporaryDirectory(prefix="ipernity-") as short,  # for the documentation's pictures
        running_sandbox(settings={"processing_seconds": 0.5}) as sandbox,
    ):
        files = Path(short, "pictures")
        prepare(files, sandbox)
        env = airflow_env(
            home / "airflow",
            dags,
            IPERNITY_FOLDER=str(files),
            AIRFLOW__IPERNITY__VIEW_ROOTS=str(files),
            AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(sandbox, upload_roots=[str(files)]),
        )
        with running_airflow(env) as airflow:
            airflow.wait_for_dags(*DAGS)
            for dag_id in DAGS:
                airflow.send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
            yield View(airflow, Service(sandbox), files, env)


@pytest.fixture(scope="package")
def filled(view: View) -> View:
    """Replacements of every kind, the newest one of a new document."""
    manifest = view.files / "four.csv"
    with manifest.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(
            [
                ("doc_id", "file"),
                ("5414", "meadow.png"),
                ("5415", "night_city.jpg"),
                ("5412", "boat.jpg"),
                ("90000001", "boat.jpg"),
            ]
        )
    view.run("backup", "ipernity_replace_with_backup")
    view.run("first", "ipernity_replace_file")
    view.run("again", "ipernity_replace_file")
    view.run("many", "ipernity_replace_many", "failed", manifest=str(manifest))
    view.service.set(replace_mode="new_document")
    view.run("new", "ipernity_replace_file", "failed", file=str(view.files / "mountains.jpg"))
    view.service.set(replace_mode="in_place")
    return view


@pytest.fixture(scope="package")
def forged(filled: View) -> View:
    """The same, with what a DAG's author has made up."""
    filled.run("private", "private", document="5414", file=str(filled.files / "meadow.png"))
    return filled


def open_list(page: Page, view: View) -> FrameLocator:
    page.goto(f"{view.airflow.base}/plugin/ipernity-replacements")
    return page.frame_locator("iframe")


def open_tab(page: Page, address: str) -> FrameLocator:
    page.goto(address)
    return page.frame_locator("iframe")


def wait_for_pictures(frame: FrameLocator, count: int = 2) -> list[str]:
    """Wait until so many pictures are drawn; return them as data."""
    pictures = frame.locator(".frame img")
    expect(pictures).to_have_count(count)
    for one in pictures.all():
        one.evaluate("picture => picture.decode()")
    return [
        str(
            one.evaluate(
                """picture => {
                    const canvas = document.createElement("canvas")
                    canvas.width = picture.naturalWidth
                    canvas.height = picture.naturalHeight
                    canvas.getContext("2d").drawImage(picture, 0, 0)
                    return canvas.toDataURL()
                }"""
            )
        )
        for one in pictures.all()
    ]
