"""The view *ipernity replacements* in Airflow's UI: what it shows, and to whom."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Browser, FrameLocator, Page, expect

from ipernity_provider.sandbox import running_sandbox
from scripts.rig import (
    EXAMPLES,
    ROOT,
    AirflowApi,
    airflow_env,
    connection_json,
    free_port,
    running_airflow,
    session_of,
    wait_for,
)
from scripts.ui import prepare
from tests.conftest import SECRETS, Service
from tests.e2e.browser.conftest import SIZE, Snap

pytestmark = pytest.mark.timeout(900)

DAGS = ("ipernity_replace_file", "ipernity_replace_many", "ipernity_replace_with_backup", "private")
PASSWORDS = {"guest": "guest-pw", "owner": "owner-pw"}
PHONE = 390


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


@pytest.fixture(scope="module")
def view(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    home = tmp_path_factory.mktemp("view")
    dags = home / "dags"
    shutil.copytree(EXAMPLES, dags, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).parent.parent / "dags" / "private.py", dags)
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


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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


def test_at_first_it_says_that_there_is_nothing_yet(view: View, page: Page, snap: Snap) -> None:
    page.goto(view.airflow.base)
    page.get_by_role("button", name="Browse").click()
    page.get_by_text("ipernity replacements").click()
    page.wait_for_url("**/plugin/ipernity-replacements/**")  # as Airflow notes where a frame is
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Nothing yet")).to_be_visible()
    expect(frame.get_by_role("listitem")).to_have_count(0)
    snap(page, "view-empty", height=600)


def test_the_list_names_file_document_outcome_and_proof_newest_first(
    filled: View, page: Page, snap: Snap
) -> None:
    frame = open_list(page, filled)
    entries = frame.get_by_role("listitem")
    expect(entries).to_have_count(filled.entries)
    expected = [
        ("Document 5412 → ", "mountains.jpg", "new document", "The service created document"),
        ("replace: many documents", "four.csv", "failed", "2 replaced", "1 unchanged", "1 refused"),
        ("Document 5412", "boat.jpg", "unchanged", "proof: md5"),
        ("Document 5412", "boat.jpg", "replaced", "proof: md5"),
        ("Document 5413", "mountains.jpg", "replaced", "proof: md5", "replace_with_backup"),
    ]
    snap(page, "view-list")
    of_examples = entries.filter(has_not_text="private ·")
    for entry, words in zip(of_examples.all(), expected, strict=True):
        for word in words:
            expect(entry).to_contain_text(word)
        expect(entry).to_contain_text(re.compile(r"\d\d:\d\d UTC\s*[\d.]+ s"))
    frame.get_by_label("DAG").select_option("ipernity_replace_file")
    frame.get_by_role("button", name="Filter").click()
    expect(entries).to_have_count(3)


@pytest.mark.parametrize(
    ("label", "value", "found"),
    [
        ("DAG", "ipernity_replace_many", 1),
        ("Outcome", "refused", 1),
        ("Outcome", "planned", 0),
        ("Document", "5412", 4),
        ("Document", "http://127.0.0.1:1/doc/1234/5415", 1),
        ("Document", "777", 0),
    ],
)
def test_the_list_is_filtered(filled: View, page: Page, label: str, value: str, found: int) -> None:
    frame = open_list(page, filled)
    if label == "Document":
        frame.get_by_role("textbox", name=label).fill(value)
    else:
        frame.get_by_label(label).select_option(value)
    frame.get_by_role("button", name="Filter").click()
    expect(frame.get_by_role("link", name="Clear")).to_be_visible()
    expect(frame.get_by_role("listitem")).to_have_count(found)
    if not found:
        expect(frame.get_by_text("No replacement matches")).to_be_visible()


def test_its_links_lead_to_run_log_and_page(filled: View, page: Page) -> None:
    run = f"{filled.airflow.base}/dags/ipernity_replace_with_backup/runs/"
    for name, address in (("Run", f"{run}[^/]*$"), ("Log", f"{run}[^/]*/tasks/replace$")):
        entry = open_list(page, filled).get_by_role("listitem").filter(has_text="with_backup")
        entry.get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(re.compile(address))
        expect(page.locator("iframe")).to_have_count(0)
    entry = open_list(page, filled).get_by_role("listitem").filter(has_text="with_backup")
    with page.expect_popup() as opened:
        entry.get_by_role("link", name="Page", exact=True).click()
    expect(opened.value).to_have_url(re.compile(rf"^{filled.service.url}/doc/\d+/5413$"))


def test_a_task_shows_the_document_before_and_now(filled: View, page: Page, snap: Snap) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    frame = open_tab(page, filled.tab("backup", "ipernity_replace_with_backup"))
    before, now = wait_for_pictures(frame)
    assert before != now
    for words in ("Document 5413 carries mountains.jpg (proof: md5).", "712", "mountains.jpg"):
        expect(frame.locator("main")).to_contain_text(words)
    own = (filled.airflow.base, f"blob:{filled.airflow.base}", "data:")
    assert [address for address in asked if not address.startswith(own)] == []
    assert [address for address in asked if "/picture/" in address]
    snap(page, "view-task", width=1400, height=1000)
    frame.get_by_role("link", name="All replacements").click()
    page.wait_for_url("**/plugin/ipernity-replacements/**")
    expect(page.frame_locator("iframe").get_by_role("listitem")).to_have_count(filled.entries)


def test_a_new_document_is_named_with_the_old_one(filled: View, page: Page) -> None:
    frame = open_tab(page, filled.tab("new", "ipernity_replace_file"))
    expect(frame.locator(".mapping")).to_have_text(re.compile(r"^5412\s*→\s*\d+$"))
    expect(frame.get_by_text("No backup: the task has stored none.")).to_be_visible()
    wait_for_pictures(frame, count=1)


def test_a_report_is_a_table_that_can_be_sorted(filled: View, page: Page, snap: Snap) -> None:
    frame = open_tab(page, filled.tab("many", "ipernity_replace_many"))
    for count in ("2 replaced", "1 unchanged", "1 refused"):
        expect(frame.locator(".title")).to_contain_text(count)
    first = frame.locator("tbody td:first-child")
    expect(first).to_have_text(["5414", "5415", "5412", "90000001"])
    for order in (["5412", "5414", "5415", "90000001"], ["90000001", "5415", "5414", "5412"]):
        frame.get_by_role("button", name="Document").click()
        expect(first).to_have_text(order)
    frame.get_by_role("button", name="Bytes").click()
    sizes = [
        int(text.replace(",", "")) for text in frame.locator("tbody .number").all_inner_texts()
    ]
    assert sizes == sorted(sizes)
    expect(frame.get_by_role("row").filter(has_text="90000001")).to_contain_text(
        "Document not found"
    )
    snap(page, "view-report", width=1400, height=1000)
    frame.get_by_role("link", name="5414").click()
    expect(frame.get_by_role("heading", name="Document 5414")).to_be_visible()
    wait_for_pictures(frame, count=1)


def test_at_phone_width_nothing_is_scrolled_sideways(filled: View, page: Page, snap: Snap) -> None:
    page.set_viewport_size({"width": PHONE, "height": 844})
    path = f"{filled.airflow.base}/ipernity"
    page.goto(f"{path}/replacements")
    addresses = [page.url] + [
        str(link.get_attribute("href")) for link in page.locator("a.name").all()
    ]
    assert len(addresses) == filled.entries + 1
    for address in addresses:
        page.goto(address if "://" in address else f"{filled.airflow.base}{address}")
        expect(page.locator("h1")).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE, address
    frame = open_list(page, filled)
    expect(frame.get_by_role("listitem")).to_have_count(filled.entries)
    snap(page, "view-phone", width=PHONE, height=844)
    frame.get_by_role("link", name="Document 5413").first.click()
    wait_for_pictures(frame)
    snap(page, "view-phone-task", width=PHONE, height=844)


def test_it_is_as_dark_as_airflow_is(filled: View, browser: Browser, snap: Snap) -> None:
    with browser.new_context(viewport=SIZE, locale="en-US", color_scheme="dark") as context:
        page = context.new_page()
        frame = open_list(page, filled)
        body = frame.locator("body")
        expect(frame.get_by_role("listitem")).to_have_count(filled.entries)
        expect(body).to_have_css("background-color", "rgb(22, 29, 45)")
        snap(page, "view-dark", height=760)
        # Chosen in Airflow, whatever the system says.
        page.evaluate("document.documentElement.classList.replace('dark', 'light')")
        expect(body).to_have_css("background-color", "rgb(255, 255, 255)")
        page.goto(f"{filled.airflow.base}/ipernity/replacements")
        expect(page.locator("body")).to_have_css("background-color", "rgb(22, 29, 45)")


def test_what_a_dag_forges_is_text_and_opens_no_file(forged: View, page: Page) -> None:
    refused: list[str] = []
    page.on(
        "console",
        lambda line: refused.append(line.text) if "Content Security" in line.text else None,
    )
    frame = open_tab(page, forged.tab("private", "private", "forged"))
    expect(frame.locator(".reason")).to_contain_text("A sentence with <script>document.title")
    expect(
        frame.get_by_text("It lies outside the folders that the API server may read.")
    ).to_be_visible()
    expect(frame.get_by_role("link", name="Page")).to_have_count(0)
    expect(frame.locator("main script, main img[src=x]")).to_have_count(0)
    frame = open_tab(page, forged.tab("private", "private", "forged_report"))
    expect(
        frame.get_by_text("It lies outside the folders that the API server may read.")
    ).to_be_visible()
    assert "taken over" not in page.title()
    assert refused == []


def test_a_task_of_another_kind_says_so(filled: View, page: Page) -> None:
    frame = open_tab(page, filled.tab("many", "ipernity_replace_many", "volume"))
    expect(frame.get_by_text("This task has replaced no file at ipernity")).to_be_visible()


def test_no_secret_is_in_any_of_its_pages(forged: View) -> None:
    first = requests.get(f"{forged.airflow.base}/ipernity/replacements", timeout=30).text
    paths = set(re.findall(r'"(/ipernity/dags/[^"]+)"', first))
    assert len(paths) == forged.entries
    pages = [
        first,
        *(requests.get(f"{forged.airflow.base}{path}", timeout=30).text for path in paths),
    ]
    assert [secret for secret in SECRETS for text in pages if secret in text] == []


# -- who may see it --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(forged: View) -> Iterator[str]:
    """The same Airflow with accounts, below a path; its address."""
    home, port = Path(forged.env["AIRFLOW_HOME"]), free_port()
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    base = f"http://127.0.0.1:{port}/photos"
    env = forged.env | {
        "PYTHONPATH": str(ROOT),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.e2e.browser.guests.Guests",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "guest:viewer,owner:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }

    def answers() -> bool:
        try:
            return requests.get(f"{base}/api/v2/version", timeout=5).ok
        except requests.RequestException:
            return False

    with session_of(["airflow", "api-server"], env, home / "guarded.log"):
        wait_for("the API server with accounts", answers, 120)
        yield base


def sign_in(base: str, name: str) -> requests.Session:
    session = requests.Session()
    body = {"username": name, "password": PASSWORDS[name]}
    answer = session.post(f"{base}/auth/token", json=body, timeout=30)
    assert answer.ok, answer.text
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


def test_who_may_not_read_a_dag_sees_nothing_of_it(
    forged: View, guarded: str, page: Page, snap: Snap
) -> None:
    page.goto(guarded)
    page.locator("input[name=username]").fill("guest")
    page.locator("input[name=password]").fill(PASSWORDS["guest"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Browse")).to_be_visible()
    page.goto(f"{guarded}/plugin/ipernity-replacements")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("listitem")).to_have_count(5)
    assert "private" not in frame.locator("html").inner_html()
    tab = forged.tab("private", "private", "forged").replace(forged.airflow.base, guarded)
    frame = open_tab(page, tab)
    expect(frame.get_by_role("heading", name="Not for you to see")).to_be_visible()
    assert "forged" not in frame.locator("main").inner_html()


@pytest.mark.parametrize("end", ["", "/picture/before", "/picture/after"])
@pytest.mark.parametrize("task", ["forged", "forged_report", "replace", "no_such_task"])
def test_each_address_of_a_dag_asks_who_reads(
    forged: View, guarded: str, task: str, end: str
) -> None:
    address = (
        f"{guarded}/ipernity/dags/private/runs/{quote(forged.runs['private'])}/tasks/{task}/-1{end}"
    )
    refused = sign_in(guarded, "guest").get(address, timeout=30)
    assert refused.status_code == 403
    assert "5414" not in refused.text
    allowed = sign_in(guarded, "owner").get(address, timeout=30)
    assert allowed.status_code in {200, 404}


def test_the_list_asks_who_reads(guarded: str) -> None:
    for query in (
        "",
        "?dag_id=private",
        "?dag_id=private&dag_id=ipernity_replace_file",
        "?doc_id=5414",
    ):
        address = f"{guarded}/ipernity/replacements{query}"
        shown = sign_in(guarded, "guest").get(address, timeout=30)
        assert "/dags/private/" not in shown.text
        assert requests.get(address, timeout=30).status_code == 401
    assert "/dags/private/" in sign_in(guarded, "owner").get(address, timeout=30).text


def test_what_it_sends_allows_a_browser_nothing_from_elsewhere(guarded: str) -> None:
    session = sign_in(guarded, "owner")
    for path in ("replacements", "static/view.css", "static/view.js", "nowhere"):
        headers: Any = session.get(f"{guarded}/ipernity/{path}", timeout=30).headers
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert set(policy.values()) == {"'none'", "'self'"}
        assert headers["X-Content-Type-Options"] == "nosniff"
