"""Airflow's web UI as a person uses it; the selectors are those of Airflow 3.3."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import Locator, Page, Response, expect

from scripts.rig import AirflowApi

GREEN, RED = "rgb(0, 128, 0)", "rgb(255, 0, 0)"


class Connections:
    """The list of connections, and the form behind its buttons."""

    def __init__(self, page: Page, airflow: AirflowApi) -> None:
        self.page = page
        self.form = page.get_by_role("dialog")
        self._address = f"{airflow.base}/connections"
        page.goto(self._address)

    def add(self, conn_id: str) -> None:
        """Open the form for a connection of our type."""
        self.page.get_by_role("button", name="Add Connection").click()
        self.field("connection_id").fill(conn_id)
        self.form.get_by_role("combobox").first.fill("ipernity")
        self.page.get_by_role("option", name="ipernity", exact=True).click()

    def edit(self, conn_id: str) -> None:
        """Open the form of a connection that is there."""
        self.page.goto(self._address)
        self._row(conn_id).get_by_role("button", name="Edit Connection").click()
        expect(self.field("connection_id")).to_have_value(conn_id)

    def open(self, section: str) -> None:
        self.form.get_by_role("button", name=section, exact=True).click()

    def field(self, name: str) -> Locator:
        return self.form.locator(f"[name={name}]")

    def extra(self, name: str) -> Locator:
        return self.field(f"element_{name}")

    def label(self, name: str) -> Locator:
        """The label of an extra field."""
        return (
            self.form.get_by_role("group")
            .filter(has=self.page.locator(f"[name=element_{name}]"))
            .locator("label")
        )

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.field(name).fill(value)

    def fill_extra(self, **fields: str) -> None:
        for name, value in fields.items():
            self.extra(name).fill(value)

    def choices(self) -> Locator:
        """The choices of the form's last dropdown, opened."""
        self.form.get_by_role("combobox").last.click()
        return self.page.get_by_role("option")

    def save(self) -> None:
        self.form.get_by_role("button", name="Save").click()
        expect(self.form).to_be_hidden()

    def test(self, conn_id: str) -> tuple[Locator, Locator]:
        """Press the Test button; return what shows the outcome: its icon, and the sentence."""
        self.page.goto(self._address)  # without the sentences of earlier tests
        button = self._row(conn_id).get_by_role("button", name="Test Connection")
        button.click()
        told = self.page.locator("[data-scope=toast][data-part=root]").filter(
            has_text="Test Connection"
        )
        return button.locator("svg"), told.locator("[data-part=description]")

    def _row(self, conn_id: str) -> Locator:
        return self.page.get_by_role("row").filter(has_text=conn_id)


class Dag:
    """A DAG, its trigger form and its runs."""

    def __init__(self, page: Page, airflow: AirflowApi, dag_id: str) -> None:
        self.page = page
        self.form = page.get_by_role("dialog")
        page.goto(f"{airflow.base}/dags/{dag_id}")

    def open_form(self) -> None:
        self.page.get_by_role("button", name="Trigger").first.click()
        expect(self.form.get_by_test_id("trigger-dag-submit")).to_be_enabled()

    def trigger(self, **params: str) -> dict[str, Any]:
        """Fill the form and send it off; Airflow shows the run that it makes."""
        for name, value in params.items():
            field = self.form.locator(f"#element_{name}")
            field.fill(value)
            field.press("Tab")
        with self.page.expect_response(_is_new_run) as answer:
            self.form.get_by_test_id("trigger-dag-submit").click()
        self.page.wait_for_url("**/runs/*")
        return dict(answer.value.json())

    def wait_for_run(self, state: str, **tasks: str) -> None:
        """Wait until the run's page shows these states, as it does without being loaded again."""
        expect(self.page.get_by_test_id("state-badge").first).to_have_text(state, timeout=120_000)
        for task_id, task_state in tasks.items():
            expect(self.page.get_by_role("row").filter(has_text=task_id)).to_contain_text(
                task_state
            )

    def open_task(self, task_id: str) -> None:
        self.page.get_by_role("table").get_by_role("link", name=task_id, exact=True).click()
        expect(self.page.get_by_role("heading", name=task_id)).to_be_visible()


class TaskLog:
    """The log of a task's last try."""

    def __init__(
        self, page: Page, airflow: AirflowApi, dag_id: str, run_id: str, task_id: str
    ) -> None:
        self.page = page
        self._address = f"{airflow.base}/dags/{dag_id}/runs/{quote(run_id)}/tasks/{task_id}"
        self.open()

    def open(self, levels: Sequence[str] = ()) -> None:
        """Open it at its end, as Airflow does; only the records of these levels, if any."""
        self.page.goto(f"{self._address}?{urlencode([('log_level', level) for level in levels])}")
        expect(self._lines.first).to_be_visible()

    def line(self, text: str) -> Locator:
        """The words of one record of the package, wherever they stand in the log."""
        return self._lines.filter(has_text=re.compile(rf"^{re.escape(text)}$")).first

    def shows_whole(self, line: Locator) -> bool:
        """Whether the first and the last sign of a line are seen, nothing scrolled sideways."""
        line.scroll_into_view_if_needed()
        return bool(
            line.evaluate(
                """line => {
                    const words = document.createRange()
                    words.selectNodeContents(line)
                    const seen = (x, y) => line.contains(document.elementFromPoint(x, y))
                    for (let part = line; part; part = part.parentElement)
                        if (part.scrollLeft) return false
                    return [...words.getClientRects()].every(box => {
                        const middle = box.top + box.height / 2
                        return seen(box.left + 2, middle) && seen(box.right - 2, middle)
                    })
                }"""
            )
        )

    def fold_frames(self) -> None:
        """Close what lies below the exception: it names folders of this machine."""
        self.page.locator("details").filter(has_text="task_runner.py").locator(
            "summary"
        ).dispatch_event("click")
        expect(self.frames.filter(visible=True)).to_have_count(0)

    @property
    def frames(self) -> Locator:
        """The frames below an exception: long, and cut off."""
        return self.page.locator("details p").filter(has_text="task_runner.py")

    @property
    def _lines(self) -> Locator:
        return self.page.locator(".event")


def _is_new_run(response: Response) -> bool:
    return response.request.method == "POST" and response.url.endswith("/dagRuns")


def everything_in(page: Page) -> str:
    """The page's whole text and markup, and what its fields hold."""
    held = page.locator("input, textarea").evaluate_all("all => all.map(one => one.value)")
    return "\n".join([page.content(), *held])
