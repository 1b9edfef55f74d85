from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from airflow.sdk import DAG, BaseOperator, Context

from ipernity_provider.api.errors import AnswerLost, Unreachable, api_error
from ipernity_provider.operators.ipernity import ReplaceFileOperator

retry_policy = pytest.importorskip(
    "airflow.sdk.definitions.retry_policy", reason="retry policies came with Airflow 3.3"
)

from ipernity_provider.operators.retries import PatientRetryPolicy


def wait(
    error: BaseException, try_number: int = 1, retry_delay: timedelta = timedelta(seconds=30)
) -> timedelta | None:
    task = BaseOperator(task_id="replace", retry_delay=retry_delay)
    decision = PatientRetryPolicy().evaluate(error, try_number, 5, cast("Context", {"task": task}))
    assert decision.action is not retry_policy.RetryAction.FAIL
    return decision.retry_delay


@pytest.mark.parametrize(("code", "minutes"), [(113, 5), (501, 10), (503, 10), (112, 60)])
def test_the_service_is_given_time_where_it_asks_for_it(code: int, minutes: int) -> None:
    assert wait(api_error("upload.replace", code)) == timedelta(minutes=minutes)
    assert wait(api_error("upload.replace", code), 2) == timedelta(minutes=2 * minutes)
    assert wait(api_error("upload.replace", code), 50) == timedelta(hours=6)


@pytest.mark.parametrize(
    "error", [Unreachable("x"), AnswerLost("x"), api_error("m", 500), ValueError("x")]
)
def test_anything_else_keeps_the_tasks_own_delay(error: BaseException) -> None:
    assert wait(error) is None


def test_the_pause_that_the_service_asks_for_is_waited_at_least() -> None:
    assert wait(AnswerLost("x", retry_after=900.0)) == timedelta(minutes=15)
    assert wait(AnswerLost("x", retry_after=20.0)) is None
    assert wait(AnswerLost("x", retry_after=1e9)) == timedelta(hours=6)
    assert wait(api_error("m", 113, retry_after=20.0)) == timedelta(minutes=5)
    assert wait(api_error("m", 113, retry_after=7200.0)) == timedelta(hours=2)


def test_a_longer_delay_of_the_user_is_kept() -> None:
    assert wait(api_error("m", 113), retry_delay=timedelta(hours=2)) == timedelta(hours=2)


def test_a_policy_from_default_args_wins() -> None:
    own = retry_policy.ExceptionRetryPolicy(rules=[])
    options: dict[str, Any] = {"doc_id": "5412", "file": "/data/boat.jpg"}
    with DAG("d", schedule=None, default_args={"retry_policy": own}):
        assert ReplaceFileOperator(task_id="theirs", **options).retry_policy is own
    assert isinstance(
        ReplaceFileOperator(task_id="ours", **options).retry_policy, PatientRetryPolicy
    )
