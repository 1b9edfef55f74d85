"""Replacements that end well, badly and with a crash, over connections of every kind."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Context, task

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator


class CrashingOperator(ReplaceFileOperator):
    """Its process breaks down while it waits, and writes where it was."""

    def execute(self, context: Context) -> dict[str, Any]:
        faulthandler.enable()
        logging.getLogger("ipernity_provider.replacement.upload").addHandler(Crash())
        return super().execute(context)


class Crash(logging.Handler):
    """Breaks the process down once the service has accepted an upload."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("Ticket: "):
            threading.Timer(0.3, os.abort).start()


with DAG(
    "every_ending",
    schedule=None,
    catchup=False,
    params={"runs": [], "batches": [], "crashes": [], "calls": []},
) as dag:

    @task
    def runs(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["runs"])

    @task
    def call(params: dict[str, Any] | None = None) -> None:
        assert params is not None
        for conn_id in params["calls"]:
            IpernityHook(conn_id).call("api.methods.get", method="doc.get")

    call()
    ReplaceFileOperator.partial(
        task_id="replace", retries=0, execution_timeout=timedelta(minutes=5), poll_interval=1.0
    ).expand_kwargs(runs())

    @task
    def batches(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["batches"])

    ReplaceFilesOperator.partial(
        task_id="many", retries=0, execution_timeout=timedelta(minutes=5), poll_interval=1.0
    ).expand_kwargs(batches())

    @task
    def crashes(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["crashes"])

    CrashingOperator.partial(task_id="crash", retries=0).expand_kwargs(crashes())
