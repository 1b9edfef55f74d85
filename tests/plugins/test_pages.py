"""The view's pages over Airflow's own database and permissions, without its processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow import settings
from airflow.api_fastapi.app import init_auth_manager, purge_cached_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi.testclient import TestClient
from sqlalchemy import insert
from sqlalchemy.orm import Session

from ipernity_provider.bulk.report import summarize_rows, write_report
from ipernity_provider.bulk.rows import Row
from ipernity_provider.plugins.app import make_app
from ipernity_provider.replacement.request import Result
from scripts.rig import airflow_env, migrate
from tests.conftest import BOAT, Connect, Service, draw

pytestmark = pytest.mark.socket

BEGUN = datetime(2026, 11, 27, 11, 0, tzinfo=UTC)
RUN = "manual__2026-11-27T11:00:00+00:00"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An Airflow with a database of its own, in this process."""
    home = tmp_path_factory.mktemp("home")
    migrate(airflow_env(home))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{home / 'airflow.db'}")
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.e2e.browser.guests.Guests")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
        patch.setenv("AIRFLOW__IPERNITY__VIEW_ROOTS", str(home))
        settings.configure_vars()
        settings.configure_orm()
        init_auth_manager()
        fill(home)
        yield home
        purge_cached_app()
        settings.dispose_orm()
    settings.configure_vars()
    settings.configure_orm()


def fill(home: Path) -> None:
    rows = [
        Row(doc_id=BOAT, file="/new/boat.jpg", where="row 1", status="replaced", proof="md5"),
        Row(doc_id="5413", file="/new/x.jpg", where="row 2", status="refused", error="It is gone."),
        Row(doc_id="5414", file="/new/y.jpg", where="row 3", foreseen="It would get: title."),
    ]
    moved = Row(
        doc_id="5415", file="/new/z.jpg", where="row 4", status="transferred", new_doc_id="7778",
        new_url="https://www.ipernity.com/doc/1/7778", transferred=("title",),
        not_transferred={"album 202": "It is full."},
    )  # fmt: skip
    rows.append(moved)
    rows[0] = Row(**{**vars(rows[0]), "backup": str(draw(home / "backup.jpg", "#2f6f9f"))})
    write_report(home / "report.jsonl", rows)
    result = Result(
        outcome="replaced", doc_id=BOAT, filename="boat.jpg", bytes=2_500_000, md5=None,
        proof="bytes", url=f"https://www.ipernity.com/doc/1/{BOAT}",
    )  # fmt: skip
    new = {"new_doc_id": "7777", "reason": "The service created document 7777."}
    with Session(settings.engine) as session, session.begin():
        session.execute(insert(DagBundleModel), [{"name": "dags"}])
        for dag_id in ("boats", "private", "empty"):
            session.add(DagModel(dag_id=dag_id, bundle_name="dags", fileloc="/dags/x.py"))
        session.flush()
        add = Adder(session)
        add("boats", "one", "ReplaceFileOperator", {"return_value": result.as_dict()}, minutes=1)
        add("boats", "new", "ReplaceFileOperator", new, minutes=2, state="failed", doc_id=BOAT)
        add(
            "boats", "many", "ReplaceFilesOperator",
            {"return_value": summarize_rows(rows, str(home / "report.jsonl")), "reason": "One."},
            minutes=3, state="failed", manifest="/manifest.csv",
        )  # fmt: skip
        add("boats", "bash", "BashOperator", {"return_value": "url"}, minutes=4)
        add("private", "one", "ReplaceFileOperator", {"return_value": result.as_dict()}, minutes=5)
        for index in range(40):
            add(
                "boats", "mapped", "_PythonDecoratedOperator",
                {"return_value": result.as_dict(), "proof": "bytes"}, minutes=-index, index=index,
            )  # fmt: skip


class Adder:
    """Adds a task instance with what it has left, as Airflow's execution API stores it."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.runs: dict[str, int] = {}

    def __call__(
        self,
        dag_id: str,
        task_id: str,
        operator: str,
        xcoms: dict[str, Any],
        *,
        minutes: float,
        index: int = -1,
        state: str = "success",
        **fields: Any,
    ) -> None:
        if dag_id not in self.runs:
            run = {"dag_id": dag_id, "run_id": RUN, "run_type": "manual", "run_after": BEGUN}
            self.session.execute(insert(DagRun), [{"id": len(self.runs) + 1, **run}])
            self.runs[dag_id] = len(self.runs) + 1
        begun = BEGUN + timedelta(minutes=minutes)
        key = {"dag_id": dag_id, "run_id": RUN, "task_id": task_id, "map_index": index}
        task = {"operator": operator, "state": state, "pool": "default_pool", "queue": "default"}
        dates = {"start_date": begun, "end_date": begun + timedelta(seconds=95)}
        extra = {"priority_weight": 1, "pool_slots": 1, "executor_config": {}}
        self.session.execute(insert(TaskInstance), [{**key, **task, **dates, **extra}])
        if fields:
            rendered = {**key, "rendered_fields": fields}
            self.session.execute(insert(RenderedTaskInstanceFields), [rendered])
        left = "url" if operator == "ReplaceFileOperator" else None
        for name, value in {**({left: "http://x"} if left else {}), **xcoms}.items():
            stored = {"key": name, "value": json.dumps(value), "timestamp": begun}
            self.session.execute(
                insert(XComModel), [{**key, **stored, "dag_run_id": self.runs[dag_id]}]
            )


@pytest.fixture
def reader(home: Path) -> Iterator[TestClient]:
    """A browser of the account ``guest``, which may not read the DAG ``private``."""
    app = make_app()
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(
        username="guest", role="viewer"
    )
    with TestClient(app, root_path="/photos/ipernity") as client:
        yield client


def task(task_id: str, dag_id: str = "boats", index: str = "-1") -> str:
    return f"/dags/{dag_id}/runs/{RUN}/tasks/{task_id}/{index}"


def test_the_list_is_newest_first_in_pages_of_thirty(reader: TestClient) -> None:
    first = reader.get("/replacements").text
    assert first.count('<li class="entry">') == 30
    assert first.index("tasks/many/-1") < first.index("tasks/new/-1") < first.index("tasks/one/-1")
    assert "2.5 MB" not in first
    assert "1 min 35 s" in first
    assert 'href="/photos/dags/boats/runs/' in first
    assert "tasks/mapped/mapped/3" in first
    second = reader.get("/replacements?page=2").text
    assert second.count('<li class="entry">') == 13
    assert 'rel="prev"' in second
    assert 'rel="next"' not in second
    assert "tasks/bash" not in first + second
    assert "private" not in first + second


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("outcome=refused", 1),
        ("outcome=new_document", 1),
        ("doc_id=7777", 1),
        ("doc_id=5413", 1),
        ("doc_id=https://www.ipernity.com/doc/1/5413/", 1),
        ("dag_id=boats&outcome=failed", 1),
        ("dag_id=empty", 0),
        ("page=9", 0),
    ],
)
def test_the_list_is_filtered(reader: TestClient, query: str, count: int) -> None:
    page = reader.get(f"/replacements?{query}").text
    assert page.count('<li class="entry">') == count
    assert ("No replacement matches" in page) == (not count)


@pytest.mark.parametrize("index", ["-1", "{MAP_INDEX}"])
def test_a_task_is_shown_with_its_facts(reader: TestClient, index: str) -> None:
    page = reader.get(task("one", index=index)).text
    for words in (f"Document {BOAT}", "2.5 MB", "bytes", "No backup", "boat.jpg", "1 min 35 s"):
        assert words in page


def test_a_new_document_is_shown_beside_the_old_one(reader: TestClient) -> None:
    page = reader.get(task("new")).text
    assert f"<code>{BOAT}</code> <span>→</span> <code>7777</code>" in page


def test_a_report_is_shown_and_each_of_its_documents(reader: TestClient) -> None:
    page = reader.get(task("many")).text
    assert "It is gone." in page
    assert "It would get: title." in page
    assert "another run has written" not in page
    one = reader.get(task("many") + f"?doc_id={BOAT}").text
    assert f"picture/before?doc_id={BOAT}" in one
    assert "The whole report" in one
    assert "It would get: title." in reader.get(task("many") + "?doc_id=5414").text


def test_what_a_row_has_transferred_is_shown_and_what_it_has_not(reader: TestClient) -> None:
    page = reader.get(task("many") + "?doc_id=5415").text
    for words in ("<h2>Transferred</h2>", "title", "Not album 202", "It is full."):
        assert words in page
    assert 'href="https://www.ipernity.com/doc/1/7778"' in page


@pytest.mark.parametrize("name", ["bash", "nowhere"])
def test_what_is_not_a_replacement_says_so(reader: TestClient, name: str) -> None:
    assert "This task has replaced no file" in reader.get(task(name)).text


def test_pictures_are_those_of_the_backup_and_of_the_page(
    reader: TestClient, service: Service, connect: Connect
) -> None:
    connect()
    for which, query in (("before", f"?doc_id={BOAT}"), ("after", f"?doc_id={BOAT}")):
        answer = reader.get(task("many") + f"/picture/{which}{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert answer.headers["cache-control"] == "private, max-age=60"
    assert reader.get(task("one") + "/picture/after").status_code == 200


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (task("one") + "/picture/before", "There is no backup."),
        (task("one") + "/picture/else", "There is no such picture."),
        (task("bash") + "/picture/after", "There is no such picture."),
        (task("many") + "/picture/before?doc_id=1", "The report has no such document."),
        (task("many") + "/picture/after?doc_id=1", "The report has no such document."),
    ],
)
def test_where_there_is_no_picture_it_says_why(reader: TestClient, path: str, why: str) -> None:
    answer = reader.get(path)
    assert (answer.status_code, answer.text) == (404, why)
    assert answer.headers["content-type"].startswith("text/plain")


def test_pictures_of_pages_can_be_switched_off(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__IPERNITY__VIEW_PICTURES", "False")
    assert "Pictures are switched off" in reader.get(task("one")).text
    assert "Pictures are switched off" in reader.get(task("one") + "/picture/after").text


@pytest.mark.parametrize("end", ["", "/picture/before", "/picture/after"])
def test_of_a_dag_that_may_not_be_read_nothing_is_shown(reader: TestClient, end: str) -> None:
    assert reader.get("/replacements?dag_id=private").status_code == 403
    answer = reader.get(task("one", "private") + end)
    assert answer.status_code == 403
    assert BOAT not in answer.text
    assert "Your account may not read this DAG." in answer.text


def test_what_is_not_there_says_so_and_files_of_the_view_are(reader: TestClient) -> None:
    for path in ("/nowhere", "/static/../app.py", "/static/app.py"):
        assert reader.get(path).status_code == 404
    for name, kind in (("view.css", "text/css"), ("view.js", "text/javascript")):
        answer = reader.get(f"/static/{name}")
        assert answer.headers["content-type"].startswith(kind)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
