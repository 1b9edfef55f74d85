"""Waiting for upload volume, in a real triggerer and by being rescheduled."""

from __future__ import annotations

import pytest

from scripts.rig import AirflowApi, wait_for
from tests.conftest import SECRETS, Service
from tests.e2e.conftest import assert_green

pytestmark = pytest.mark.timeout(900)

DAG_ID = "quota"
WANTED = 5_000_000
WAITING = {"deferred": "deferred", "rescheduled": "up_for_reschedule"}


def states(airflow: AirflowApi, run: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in airflow.tasks(DAG_ID, run)}


def logs(airflow: AirflowApi, run: str) -> dict[str, str]:
    """What each task has logged in all its tries."""
    return {
        task["task_id"]: "".join(
            airflow.log(DAG_ID, run, task["task_id"], number)
            for number in range(1, task["try_number"] + 1)
        )
        for task in airflow.tasks(DAG_ID, run)
    }


def test_sensors_go_green_when_the_next_month_has_come(
    airflow: AirflowApi, remote: Service
) -> None:
    remote.set(quota_left_bytes=1000)
    run = airflow.trigger(DAG_ID, min_bytes=WANTED)
    wait_for("both to wait", lambda: states(airflow, run) == WAITING, 120)
    remote.fail("code:503", "account.getQuota")
    calls = remote.calls()["account.getQuota"]
    wait_for("more looks", lambda: remote.calls()["account.getQuota"] >= calls + 4, 120)
    assert "success" not in states(airflow, run).values()

    remote.set(quota_left_bytes=WANTED + 7)
    assert_green(airflow, DAG_ID, run)
    for task_id, log in logs(airflow, run).items():
        assert airflow.xcom(DAG_ID, run, task_id) == WANTED + 7
        for left in (1000, WANTED + 7):
            assert (
                f"{left} bytes of this month's upload volume are left, {WANTED} are wanted." in log
            )
        assert not any(secret in log for secret in SECRETS)


def test_a_token_revoked_while_sensors_wait_fails_them_with_a_sentence(
    airflow: AirflowApi, remote: Service
) -> None:
    remote.set(quota_left_bytes=1000)
    run = airflow.trigger(DAG_ID, min_bytes=WANTED)
    wait_for("both to wait", lambda: states(airflow, run) == WAITING, 120)
    remote.fail("code:107", "account.getQuota", times=99)
    assert airflow.wait_for_run(DAG_ID, run) == "failed"
    assert set(states(airflow, run).values()) == {"failed"}
    for log in logs(airflow, run).values():
        assert "account.getQuota: Token invalid (code 107). It is wrong or was revoked." in log
        assert not any(secret in log for secret in SECRETS)
