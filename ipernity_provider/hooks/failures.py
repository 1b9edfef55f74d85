"""How the service's errors end an Airflow task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from ipernity_provider.api.errors import PermanentError


@contextmanager
def permanent_errors_end_the_task() -> Iterator[None]:
    """Permanent and credential errors fail the task at once; transient ones pass, for Airflow to try again."""
    try:
        yield
    except PermanentError as error:
        raise AirflowFailException(str(error)) from error
