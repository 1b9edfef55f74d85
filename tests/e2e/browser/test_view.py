"""The view *ipernity replacements* in Airflow's UI: what it shows, and what of that works."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.conftest import SECRETS
from tests.e2e.browser.conftest import SIZE, Snap
from tests.e2e.browser.view import View, open_list, open_tab, wait_for_pictures

pytestmark = pytest.mark.timeout(900)

PHONE = 390
# From 3.3 on, Airflow notes behind it where the frame is.
PLACE = re.compile(r"/plugin/ipernity-replacements(/.*)?$")


def test_at_first_it_says_that_there_is_nothing_yet(view: View, page: Page, snap: Snap) -> None:
    page.goto(view.airflow.base)
    page.get_by_role("button", name="Browse").click()
    page.get_by_text("ipernity replacements").click()
    page.wait_for_url(PLACE)
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
    page.wait_for_url(PLACE)
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


def test_a_report_of_a_later_run_is_not_taken_for_this_one(filled: View, page: Page) -> None:
    (report,) = (filled.files / "reports").iterdir()
    whole = report.read_text(encoding="utf-8")
    frame = open_tab(page, filled.tab("many", "ipernity_replace_many"))
    later = frame.get_by_text("another run has written the same file since")
    expect(frame.get_by_role("row")).to_have_count(5)
    expect(later).to_have_count(0)
    try:
        report.write_text(whole[: whole.index("\n") + 1], encoding="utf-8")
        frame = open_tab(page, filled.tab("many", "ipernity_replace_many"))
        expect(later).to_be_visible()
    finally:
        report.write_text(whole, encoding="utf-8")


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
