"""Two tasks that replace the same document with different files, at nearly the same time."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Context, task

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.operators.ipernity import ReplaceFileOperator

LONGEST_WAIT = 90.0


def meet(folder: Path, name: str) -> None:
    """Wait until both tasks are here, but not for ever."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    end = time.monotonic() + LONGEST_WAIT
    while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)


class WatchedOperator(ReplaceFileOperator):
    """It also returns which checksum the service showed when it was last asked."""

    template_fields = (*ReplaceFileOperator.template_fields, "meeting", "delay")

    def __init__(self, *, meeting: str, delay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.meeting = meeting
        self.delay = delay

    def execute(self, context: Context) -> dict[str, Any]:
        shown = watch()
        meet(Path(self.meeting), Path(str(self.file)).name)
        time.sleep(float(self.delay))
        return super().execute(context) | {"shown": shown[-1]}

    def execute_complete(
        self, context: Context, event: Any, entry: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        shown = watch()
        return super().execute_complete(context, event, entry) | {"shown": shown[-1]}


def watch() -> list[str | None]:
    """Return the checksums that the service shows to this process, as they come."""
    shown: list[str | None] = []
    get_document = IpernityClient.get_document

    def watched(client: IpernityClient, doc_id: str) -> Any:
        document = get_document(client, doc_id)
        shown.append(document.md5)
        return document

    IpernityClient.get_document = watched  # type: ignore[method-assign, assignment]
    return shown


with DAG(
    "two_writers", schedule=None, catchup=False, max_active_tasks=64, params={"runs": []}
) as dag:

    @task
    def runs(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["runs"])

    WatchedOperator.partial(
        task_id="replace", poll_interval=0.5, retries=1, retry_delay=timedelta(seconds=1)
    ).expand_kwargs(runs())
