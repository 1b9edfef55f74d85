"""The quota sensor as Airflow calls it, in a worker or in a trigger; the service is real."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from airflow.sdk import Context

from ipernity_provider.api.errors import TransientError
from ipernity_provider.sensors.quota import IpernityQuotaSensor
from ipernity_provider.triggers.quota import QuotaTrigger
from scripts.rig import connection_json
from tests.airflow_exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from tests.conftest import Connect, Service
from tests.operators.test_operator import context
from tests.sensors.test_sensor import FirstReschedule

WANTED = 5_000_000


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect()


def sensor(min_bytes: Any = WANTED, **options: Any) -> IpernityQuotaSensor:
    options = {"poke_interval": 0.2, "timeout": 20, "mode": "poke", **options}
    return IpernityQuotaSensor(task_id="wait", min_bytes=min_bytes, **options)


def run(make: Any, there: Context | None = None) -> Any:
    """What Airflow does: execute, run the trigger elsewhere, resume in a new process."""
    there = there or context()
    with pytest.raises(TaskDeferred) as deferred:
        make().execute(there)
    event = json.loads(json.dumps(asyncio.run(first_event(deferred.value))))
    return make().resume_execution(deferred.value.method_name, {"event": event}, there)


async def first_event(deferred: TaskDeferred) -> Any:
    path, kwargs = deferred.trigger.serialize()
    assert path.endswith(".QuotaTrigger")
    (event,) = [event async for event in QuotaTrigger(**json.loads(json.dumps(kwargs))).run()]
    return event.payload


def next_month(service: Service, left: int, seconds: float = 0.7) -> threading.Timer:
    """The service gives a new volume while the sensor waits."""
    timer = threading.Timer(seconds, service.set, kwargs={"quota_left_bytes": left})
    timer.start()
    return timer


class TellsNothing(BaseHTTPRequestHandler):
    """A service that knows the account, but does not say what is left."""

    upload: Any = ()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = json.dumps(
            {"quota": {"user_id": "1234", "upload": self.upload}, "api": {"status": "ok"}}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def telling_nothing(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A connection to such a service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), TellsNothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AIRFLOW_CONN_TELLING_NOTHING", connection_json(url))
        yield "telling_nothing"
        server.shutdown()


@pytest.fixture
def logged(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """What was logged, by whichever way Airflow has set its logging up."""
    caplog.set_level("INFO")
    return lambda: caplog.text + capsys.readouterr().out


# -- in a worker or in a trigger: the same ---------------------------------------------------------


@pytest.mark.parametrize("deferrable", [False, True])
def test_where_enough_is_left_it_returns_how_much_after_one_call(
    service: Service, deferrable: bool
) -> None:
    service.set(quota_left_bytes=WANTED)
    assert sensor(deferrable=deferrable).execute(context()) == WANTED
    assert service.calls() == {"account.getQuota": 1}


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(("left", "returned"), [(7, WANTED), (WANTED + 1, WANTED + 1)])
def test_an_unlimited_account_does_not_wait(
    service: Service, deferrable: bool, left: int, returned: int
) -> None:
    service.set(unlimited=True, quota_left_bytes=left)
    assert sensor(deferrable=deferrable).execute(context()) == returned
    assert service.calls() == {"account.getQuota": 1}


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_unlimited_account_needs_not_say_what_is_left(
    telling_nothing: str, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    monkeypatch.setattr(TellsNothing, "upload", {"unlimited": "1"})
    waiting = sensor(deferrable=deferrable, ipernity_conn_id=telling_nothing)
    assert waiting.execute(context()) == WANTED


def test_it_waits_for_the_next_month(service: Service) -> None:
    service.set(quota_left_bytes=WANTED - 1)
    month = next_month(service, 10**9)
    assert sensor().execute(context()) == 10**9
    month.join()
    assert service.calls()["account.getQuota"] >= 3


def test_it_waits_for_the_next_month_in_a_trigger(service: Service) -> None:
    service.set(quota_left_bytes=WANTED - 1)
    month = next_month(service, 10**9)
    assert run(lambda: sensor(deferrable=True)) == 10**9
    month.join()
    assert service.calls()["account.getQuota"] >= 3


def test_between_two_looks_of_a_rescheduled_sensor_nothing_is_needed(service: Service) -> None:
    service.set(quota_left_bytes=0)
    there = context(ti=FirstReschedule())
    before = time.time()
    with pytest.raises(AirflowRescheduleException) as again:
        sensor(mode="reschedule", poke_interval=60).execute(there)
    assert again.value.reschedule_date.timestamp() == pytest.approx(before + 60, abs=5)
    service.set(quota_left_bytes=WANTED + 1)
    assert sensor(mode="reschedule").execute(there) == WANTED + 1


def test_the_defaults_hold_no_worker_slot_and_outlast_a_month() -> None:
    waiting = IpernityQuotaSensor(task_id="wait", min_bytes=1)
    assert (waiting.mode, waiting.deferrable) == ("reschedule", False)
    assert (waiting.poke_interval, waiting.timeout) == (3600, timedelta(days=32).total_seconds())


# -- what is wanted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (WANTED, WANTED),
        ("5000000", WANTED),
        (" 5000000\n", WANTED),
        ("5000000.0", WANTED),
        (4_999_999.2, WANTED),
        ("9007199254740993", 2**53 + 1),
        (0, 0),
    ],
)
def test_what_is_wanted_may_come_as_text_or_as_a_fraction(
    service: Service, given: Any, wanted: int
) -> None:
    service.set(quota_left_bytes=max(0, min(wanted - 1, 10**10)))
    if wanted:
        with pytest.raises(TaskDeferred) as deferred:
            sensor(given, deferrable=True).execute(context())
        assert deferred.value.trigger.serialize()[1]["min_bytes"] == wanted
    else:
        assert sensor(given).execute(context()) == 0


@pytest.mark.parametrize(
    "given", [None, "", "2 GiB", "{{ size }}", -1, "-1", True, "nan", "inf", [5], {}]
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_what_is_no_number_of_bytes_fails_at_once(
    service: Service, given: Any, deferrable: bool
) -> None:
    with pytest.raises(
        AirflowFailException,
        match=r"^min_bytes is .*: give a number of bytes, e\.g\. 2147483648\.$",
    ):
        sensor(given, deferrable=deferrable).execute(context())
    assert service.calls() == {}


def test_what_is_wanted_is_a_template() -> None:
    waiting = sensor("{{ files | sum }}")
    waiting.render_template_fields(Context(files=[2, 3]))  # type: ignore[typeddict-unknown-key]
    assert waiting.min_bytes == "5"


# -- trouble ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["code:112", "http:429"])
def test_a_transient_error_is_waited_out_and_logged(
    service: Service, kind: str, logged: Callable[[], str]
) -> None:
    service.set(quota_left_bytes=WANTED)
    # More than the client tries at one look.
    service.fail(kind, "account.getQuota", times=5)
    assert sensor().execute(context()) == WANTED
    log = logged()
    assert "Still waiting." in log
    assert f"{WANTED} bytes of this month's upload volume are left, {WANTED} are wanted." in log


def test_an_outage_at_the_first_look_defers_all_the_same(service: Service) -> None:
    service.set(quota_left_bytes=WANTED)
    service.fail("code:112", "account.getQuota", times=2)
    assert run(lambda: sensor(deferrable=True)) == WANTED
    assert service.calls()["account.getQuota"] == 3


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("soft_fail", "ending"), [(False, AirflowFailException), (True, AirflowSkipException)]
)
def test_a_revoked_token_fails_at_once(
    service: Service, deferrable: bool, soft_fail: bool, ending: type[Exception]
) -> None:
    service.fail("code:107", "account.getQuota", times=9)
    with pytest.raises(ending) as caught:
        sensor(deferrable=deferrable, soft_fail=soft_fail).execute(context())
    failure = caught.value.__cause__ if soft_fail else caught.value
    assert "account.getQuota: Token invalid (code 107)" in str(failure)
    assert service.calls() == {"account.getQuota": 1}


@pytest.mark.parametrize(
    ("soft_fail", "ending"), [(False, AirflowFailException), (True, AirflowSkipException)]
)
def test_a_token_revoked_while_it_waits_fails_the_resumed_task(
    service: Service, soft_fail: bool, ending: type[Exception]
) -> None:
    first, then = (
        {"method": "account.getQuota", "times": times, "kind": kind}
        for times, kind in ((1, "slow:0"), (9, "code:107"))
    )
    service.set(quota_left_bytes=0, faults=[first, then])
    with pytest.raises(ending) as caught:
        run(lambda: sensor(deferrable=True, soft_fail=soft_fail))
    failure = caught.value.__cause__ if soft_fail else caught.value
    assert "Token invalid (code 107)" in str(failure)


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("soft_fail", "ending"), [(False, AirflowFailException), (True, AirflowSkipException)]
)
def test_a_service_that_does_not_say_what_is_left_fails_at_once(
    telling_nothing: str, deferrable: bool, soft_fail: bool, ending: type[Exception]
) -> None:
    with pytest.raises(ending) as caught:
        sensor(
            0, deferrable=deferrable, soft_fail=soft_fail, ipernity_conn_id=telling_nothing
        ).execute(context())
    failure = caught.value.__cause__ if soft_fail else caught.value
    assert "does not say how much of this month's upload volume is left" in str(failure)


# -- the time limit --------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.5, timedelta(seconds=0.5)])
def test_a_time_limit_tells_what_was_left(service: Service, timeout: Any) -> None:
    service.set(quota_left_bytes=7)
    sentence = f"timed out.* 7 bytes of this month's upload volume are left, {WANTED} are wanted.$"
    with pytest.raises(AirflowSensorTimeout, match=sentence):
        sensor(timeout=timeout).execute(context())
    with pytest.raises(AirflowSensorTimeout, match=sentence):
        run(lambda: sensor(timeout=timeout, deferrable=True))
    with pytest.raises(AirflowSkipException):
        run(lambda: sensor(timeout=timeout, deferrable=True, soft_fail=True))


def test_a_time_limit_after_an_outage_tells_that_nothing_is_known(service: Service) -> None:
    service.fail("code:112", "account.getQuota", times=99)
    with pytest.raises(
        AirflowSensorTimeout, match="volume is left is not known, 5000000 bytes are wanted"
    ):
        run(lambda: sensor(timeout=0.5, deferrable=True))


def test_a_time_limit_is_the_users_and_airflows_own_comes_a_little_later(service: Service) -> None:
    service.set(quota_left_bytes=0)
    with pytest.raises(TaskDeferred) as deferred:
        sensor(timeout=90, poke_interval=timedelta(hours=1), deferrable=True).execute(context())
    kwargs = deferred.value.trigger.serialize()[1]
    assert kwargs["deadline"] == pytest.approx(time.time() + 90, abs=5)
    assert kwargs["poll_interval"] == 3600
    assert deferred.value.timeout is not None
    assert deferred.value.timeout.total_seconds() == pytest.approx(150, abs=5)


def test_no_interval_makes_no_hot_loop(service: Service) -> None:
    service.set(quota_left_bytes=0)
    with pytest.raises(AirflowSensorTimeout):
        sensor(poke_interval=0, timeout=1).execute(context())
    with pytest.raises(AirflowSensorTimeout):
        run(lambda: sensor(poke_interval=0, timeout=1, deferrable=True))
    assert service.calls()["account.getQuota"] <= 25


# -- fail-closed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        None,
        "enough",
        {},
        {"status": "success", "left_bytes": 10**9},
        {"status": "settled", "tickets": []},
        {"status": "enough"},
        {"status": "enough", "left_bytes": None},
        {"status": "enough", "left_bytes": str(10**9)},
        {"status": "enough", "left_bytes": True},
        {"status": ["enough"], "left_bytes": 10**9},
        {"status": "timed_out", "left_bytes": "7"},
    ],
)
def test_what_is_no_event_of_the_trigger_is_not_taken_for_a_good_one(event: Any) -> None:
    with pytest.raises(TransientError, match="unexpected event"):
        sensor().execute_complete(context(), event)


def test_less_than_is_wanted_by_now_is_not_enough() -> None:
    event = {"status": "enough", "left_bytes": WANTED}
    assert sensor().execute_complete(context(), event) == WANTED
    with pytest.raises(TransientError, match="resumed too early"):
        sensor(WANTED + 1).execute_complete(context(), event)
