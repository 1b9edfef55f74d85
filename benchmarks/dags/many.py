"""Three ways to replace the files of a manifest."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator

PARAMS = {"manifest": ""}
POLL_SECONDS = 0.25


def rows_of(params: dict[str, Any]) -> list[dict[str, str]]:
    with Path(params["manifest"]).open(newline="") as manifest:
        return list(csv.DictReader(manifest))


with DAG("one_batch", schedule=None, catchup=False, params=PARAMS):
    ReplaceFilesOperator(
        task_id="replace",
        manifest="{{ params.manifest }}",
        poll_interval=POLL_SECONDS,
        deferrable=False,
    )

with DAG("mapped_tasks", schedule=None, catchup=False, params=PARAMS, max_active_tasks=4096):

    @task
    def pairs(params: dict[str, Any] | None = None) -> list[dict[str, str]]:
        assert params is not None
        return rows_of(params)

    ReplaceFileOperator.partial(
        task_id="replace", poll_interval=POLL_SECONDS, deferrable=False
    ).expand_kwargs(pairs())

with DAG("python_loop", schedule=None, catchup=False, params=PARAMS):

    @task
    def loop(params: dict[str, Any] | None = None) -> None:
        """Send a file, wait for its ticket, go to the next: the loop one writes with PyIpernity.

        Nothing is verified or remembered.
        """
        from ipernity import IpernityAPI

        from ipernity_provider.hooks.ipernity import IpernityHook

        assert params is not None
        settings = IpernityHook().settings
        api = IpernityAPI(
            settings.api_key, settings.api_secret, settings.token, url=f"{settings.base_url}/api/"
        )
        for row in rows_of(params):
            ticket = api.upload.replace(file=row["file"], doc_id=row["doc_id"])["ticket"]
            while not int(api.upload.checkTickets(tickets=ticket)["tickets"]["ticket"][0]["done"]):
                time.sleep(POLL_SECONDS)

    loop()
