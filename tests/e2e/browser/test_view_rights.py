"""Who may see what in the view, and what a browser may do with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page, expect

from scripts.rig import AT_ONCE, ROOT, free_port, session_of, wait_for
from tests.e2e.browser.view import View, open_tab

pytestmark = pytest.mark.timeout(900)

PASSWORDS = {"guest": "guest-pw", "owner": "owner-pw"}


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

    with session_of(["airflow", "api-server"], env, home / "guarded.log", ends=AT_ONCE):
        wait_for("the API server with accounts", answers, 120)
        yield base


def sign_in(base: str, name: str) -> requests.Session:
    session = requests.Session()
    body = {"username": name, "password": PASSWORDS[name]}
    answer = session.post(f"{base}/auth/token", json=body, timeout=30)
    assert answer.ok, answer.text
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


def test_who_may_not_read_a_dag_sees_nothing_of_it(forged: View, guarded: str, page: Page) -> None:
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
