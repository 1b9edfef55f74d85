"""How long a task waits before it tries again. Needs Airflow 3.3.

The wait is longer where the service asks for patience.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision

from ipernity_provider import metrics

if TYPE_CHECKING:
    from airflow.sdk import Context

_LONGEST = timedelta(hours=6)


class PatientRetryPolicy(RetryPolicy):
    """Wait for rate limits and maintenance as long as they usually last.

    For all other errors the task's own delay applies.

    The first wait is 5 minutes after code 113 (too many calls from this address) and HTTP 429, 10
    minutes after codes 501 and 503 (maintenance, outage), and one hour after code 112 (the key's
    calls are used up). Each further one is twice as long, up to 6 hours. Each wait is at least as
    long as the task's own ``retry_delay``, and as what the service asks for in its header
    ``Retry-After``, up to 6 hours. The number of tries stays the task's ``retries``.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,
    ) -> RetryDecision:
        from ipernity_provider.api.errors import RateLimited

        own = getattr(context.get("task"), "retry_delay", None) if context else None
        own = own if isinstance(own, timedelta) else timedelta()
        first, asked = _first_wait(exception), _asked_wait(exception)
        if first is None and asked <= own:
            return RetryDecision.default()
        grown = min((first or timedelta()) * 2 ** (min(try_number, 10) - 1), _LONGEST)
        delay = max(grown, asked, own)
        if isinstance(exception, RateLimited):
            metrics.sink.timing("ipernity.rate_limit_wait", delay.total_seconds() * 1000)
        return RetryDecision.retry(
            delay, f"The service asks for patience: waiting {delay}. ({exception})"
        )


def _first_wait(error: BaseException) -> timedelta | None:
    from ipernity_provider.api.errors import RateLimited, ServiceDown

    if isinstance(error, RateLimited):
        return timedelta(hours=1) if error.code == 112 else timedelta(minutes=5)
    return timedelta(minutes=10) if isinstance(error, ServiceDown) else None


def _asked_wait(error: BaseException) -> timedelta:
    from ipernity_provider.api.errors import TransientError

    seconds = error.retry_after if isinstance(error, TransientError) else None
    return min(timedelta(seconds=seconds or 0.0), _LONGEST)
