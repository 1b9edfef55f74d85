"""The example DAG behind Airflow's Trigger button, from the form to the document's page."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from scripts.demo import draw_picture
from scripts.rig import AirflowApi
from tests.conftest import BOAT, Service
from tests.e2e.browser.conftest import Snap
from tests.e2e.browser.pages import Dag
from tests.e2e.conftest import assert_green

pytestmark = pytest.mark.timeout(900)

DAG_ID = "ipernity_replace_file"
NIGHT = (11, 29, 58)


def colour_of_the_sky(page: Page) -> tuple[int, int, int]:
    """What the document's page shows in the upper left of its picture."""
    picture = page.locator("figure img")
    assert (
        picture.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 0
    )
    shown = Image.open(BytesIO(picture.screenshot())).convert("RGB")
    red, green, blue = shown.crop((40, 40, 41, 41)).tobytes()
    return red, green, blue


def is_night(colour: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 6 for one, other in zip(colour, NIGHT, strict=True))


def test_the_trigger_form_replaces_the_file_and_the_link_of_the_green_task_shows_it(
    airflow: AirflowApi, remote: Service, uploads: Path, page: Page, snap: Snap
) -> None:
    page.goto(f"{remote.url}/doc/superman/{BOAT}")
    assert not is_night(colour_of_the_sky(page))

    file = draw_picture(uploads / "boat-at-night.jpg")
    dag = Dag(page, airflow, DAG_ID)
    dag.open_form()
    snap(page, "trigger-form")
    run = dag.trigger(document=BOAT, file=str(file))
    assert run["conf"] == {"document": BOAT, "file": str(file)}
    dag.wait_for_run("Success", replace="Success")
    assert_green(airflow, DAG_ID, run["dag_run_id"])
    snap(page, "run-green", height=600)

    dag.open_task("replace")
    page.get_by_role("link", name="Details").click()
    link = page.get_by_role("link", name="Document")
    expect(link).to_be_visible()
    snap(page, "result-link")
    with page.expect_popup() as opened:
        link.click()
    document = opened.value
    assert is_night(colour_of_the_sky(document))
    snap(document, "sandbox-document", height=660)
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    expect(document.locator("#md5")).to_have_text(md5)
    original = document.get_by_role("link", name="Original file").get_attribute("href")
    sent = document.request.get(f"{remote.url}{original}").body()
    assert hashlib.md5(sent).hexdigest() == md5

    (accepted,) = remote.ledger()
    assert (accepted["method"], accepted["doc_id"], accepted["md5"]) == (
        "upload.replace",
        BOAT,
        md5,
    )


def test_a_missing_file_turns_the_task_red_and_the_log_says_so_in_one_sentence(
    airflow: AirflowApi, remote: Service, uploads: Path, page: Page
) -> None:
    missing = uploads / "no-such-boat.jpg"
    dag = Dag(page, airflow, DAG_ID)
    dag.open_form()
    dag.trigger(document=BOAT, file=str(missing))
    dag.wait_for_run("Failed", replace="Failed")
    dag.open_task("replace")
    expect(page.get_by_test_id("state-badge").filter(has_text="Failed")).to_be_visible()
    expect(page.get_by_text(f"{missing} does not exist. Nothing was sent.").first).to_be_visible()
    assert remote.ledger() == []
