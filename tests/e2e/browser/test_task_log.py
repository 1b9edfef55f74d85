"""A failed task's log as a person sees it: the whole reason, without scrolling sideways."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from ipernity_provider.text import lines_of
from scripts.rig import AirflowApi
from tests.conftest import BOAT, Service, draw
from tests.e2e.browser.conftest import Snap
from tests.e2e.browser.pages import TaskLog

pytestmark = pytest.mark.timeout(900)

DAG_ID = "failing"
WIDE = ViewportSize(width=1400, height=900)


@pytest.mark.parametrize("ending", ["refused", "failed", "new-document"])
def test_the_whole_reason_is_seen_without_scrolling_sideways(
    airflow: AirflowApi, remote: Service, uploads: Path, page: Page, snap: Snap, ending: str
) -> None:
    file = (
        draw(uploads / "boat-at-night.jpg", "#0b1d3a")
        if ending != "refused"
        else uploads / "no-such-boat.jpg"
    )
    remote.set(
        replace_mode="new_document" if ending == "new-document" else "in_place",
        processing_seconds=2,
    )
    if ending == "failed":
        remote.fail("code:110", "upload.replace")
    run = airflow.trigger(DAG_ID, document=BOAT, file=str(file))
    assert airflow.wait_for_run(DAG_ID, run) == "failed"

    reason = airflow.xcom(DAG_ID, run, "replace", "reason")
    page.set_viewport_size(WIDE)
    log = TaskLog(page, airflow, DAG_ID, run, "replace")
    for line in lines_of(reason):
        shown = log.line(line)
        expect(shown).to_be_visible()
        assert log.shows_whole(shown), line
    assert not log.shows_whole(log.frames.first)  # what is cut off is not taken for seen
    log.open(levels=("error", "warning", "info"))  # as it is where Airflow's level is not DEBUG
    log.fold_frames()
    snap(page, f"log-{ending}", width=WIDE["width"], height=700)
