"""Replacements whose task process kills itself at a named boundary of its first try."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Context, task

from ipernity_provider.operators.ipernity import ReplaceFileOperator


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


def arm(boundary: str, delay: float) -> None:
    """Make this process end at the boundary."""
    from ipernity_provider.api import upload
    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.operators.journal import TaskStateJournal
    from ipernity_provider.replacement import life, settle

    if boundary == "before the intent":
        before(TaskStateJournal, "write", die)
    elif boundary == "between intent and POST":
        before(IpernityClient, "upload_replace", die)
    elif boundary == "mid-body":
        # The head of the form is out, and the first block of the file; then the process ends.
        original = upload.MultipartBody._blocks

        def blocks(self: upload.MultipartBody) -> Any:
            for number, block in enumerate(original(self)):
                if number == 1:
                    die()
                yield block

        upload.MultipartBody._blocks = blocks  # type: ignore[method-assign]
    elif boundary == "accepted, before the answer":
        # By then the body is out; the service holds its answer back.
        before(IpernityClient, "upload_replace", lambda *_, **__: threading.Timer(delay, die).start())
    elif boundary == "before the ticket is stored":
        before(TaskStateJournal, "write", die, call=2)
    elif boundary == "while waiting":
        before(IpernityClient, "check_tickets", die, call=2)
    elif boundary == "before verify":
        before(life, "verify", die)
    elif boundary == "at random":
        threading.Timer(delay, die).start()
    else:
        raise ValueError(boundary)
    assert settle


class KilledOperator(ReplaceFileOperator):
    template_fields = (*ReplaceFileOperator.template_fields, "boundary", "delay")

    def __init__(self, *, boundary: str, delay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.boundary = boundary
        self.delay = delay

    def execute(self, context: Context) -> dict[str, Any]:
        if context["ti"].try_number == 1:
            arm(self.boundary, float(self.delay))
        return super().execute(context)


with DAG("kill_matrix", schedule=None, catchup=False, max_active_tasks=64, params={"runs": []}) as dag:

    @task
    def runs(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["runs"])

    KilledOperator.partial(
        task_id="replace",
        poll_interval=0.5,
        resend_grace=8.0,
        retries=3,
        retry_delay=timedelta(seconds=1),
        map_index_template="{{ task.doc_id }}",
    ).expand_kwargs(runs())
