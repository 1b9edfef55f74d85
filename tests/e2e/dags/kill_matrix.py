"""Replacements whose task process kills itself at a named boundary of its first try.

By the operator, and in tasks of one's own by the hook.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import requests
from airflow.sdk import DAG, Context, task

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.multipart import MultipartBody
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.operators.ipernity import ReplaceFileOperator
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.state import TaskStateJournal


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, act: Callable[..., Any], call: int = 1) -> None:
    """Let ``act`` happen before the n-th call of a function."""
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            act(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def die_when_accepted(service: str, doc_id: str) -> None:
    """End this process once the service has the file; it holds its answer back meanwhile."""
    while not any(
        entry["doc_id"] == doc_id
        for entry in requests.get(f"{service}/_sandbox/ledger", timeout=5).json()
    ):
        time.sleep(0.05)
    die()


def kill_mid_body(*_: Any) -> None:
    """The head of the form is out, and the first block of the file; then the process ends."""
    original = MultipartBody._blocks

    def blocks(self: MultipartBody) -> Any:
        for number, block in enumerate(original(self)):
            if number == 1:
                die()
            yield block

    MultipartBody._blocks = blocks  # type: ignore[method-assign]


def kill_when_accepted(service: str, doc_id: str, _delay: float) -> None:
    watch = threading.Thread(target=die_when_accepted, args=(service, doc_id), daemon=True)
    before(IpernityClient, "upload_replace", lambda *_, **__: watch.start())


#: What makes the process end at a boundary, given the service, the document, and a delay in
#: seconds.
BOUNDARIES: dict[str, Callable[[str, str, float], Any]] = {
    "before the intent": lambda *_: before(TaskStateJournal, "write", die),
    "between intent and POST": lambda *_: before(IpernityClient, "upload_replace", die),
    "mid-body": kill_mid_body,
    "accepted, before the answer": kill_when_accepted,
    "before the last block": lambda *_: before(TaskStateJournal, "write", die, call=2),
    "before the ticket is stored": lambda *_: before(TaskStateJournal, "write", die, call=3),
    "while waiting": lambda *_: before(IpernityClient, "check_tickets", die),
    "before the proof": lambda *_: before(Replacement, "finish", die),
    "at random": lambda _service, _doc_id, delay: threading.Timer(delay, die).start(),
}


def arm(hook: IpernityHook, boundary: str, doc_id: str, ti: Any) -> None:
    """Let the first try of a task end at a boundary; at none if it has no name."""
    if boundary and ti.try_number == 1:
        BOUNDARIES[boundary](str(hook.settings.base_url), doc_id, 0.0)


class KilledOperator(ReplaceFileOperator):
    template_fields = (*ReplaceFileOperator.template_fields, "boundary", "delay")

    def __init__(self, *, boundary: str, delay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.boundary = boundary
        self.delay = delay

    def execute(self, context: Context) -> dict[str, Any]:
        if context["ti"].try_number == 1:
            BOUNDARIES[self.boundary](
                str(self.hook.settings.base_url), str(self.doc_id), float(self.delay)
            )
        return super().execute(context)


with DAG(
    "kill_matrix", schedule=None, catchup=False, max_active_tasks=64, params={"runs": []}
) as dag:

    @task
    def runs(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["runs"])

    KilledOperator.partial(
        task_id="replace",
        poll_interval=0.5,
        ipernity_conn_id="ipernity_impatient",
        retries=3,
        retry_delay=timedelta(seconds=1),
        map_index_template="{{ task.doc_id }}",
    ).expand_kwargs(runs())


@task(retries=1, retry_delay=timedelta(seconds=1))
def replace_one(doc_id: str, file: str, boundary: str, ti: Any = None) -> dict[str, Any]:
    hook = IpernityHook("ipernity_impatient")
    arm(hook, boundary, doc_id, ti)
    return hook.replace_file(doc_id, file, journal=True, poll_interval=0.5)


@task(retries=1, retry_delay=timedelta(seconds=1))
def replace_many(params: dict[str, Any] | None = None, ti: Any = None) -> dict[str, Any]:
    assert params is not None
    hook = IpernityHook("ipernity_impatient")
    arm(hook, params["boundary"], params["killed_at"], ti)
    return hook.replace_files(params["rows"], journal=True, poll_interval=0.5)


with DAG("kill_taskflow", schedule=None, catchup=False, params={"runs": []}) as taskflow:

    @task
    def planned(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["runs"])

    replace_one.expand_kwargs(planned())

with DAG(
    "kill_taskflow_many",
    schedule=None,
    catchup=False,
    params={"rows": [], "boundary": "", "killed_at": ""},
) as taskflow_many:
    replace_many()
