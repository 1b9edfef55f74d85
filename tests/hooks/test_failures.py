"""How errors end a task; the context is the least that is needed."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from ipernity_provider.api.errors import (
    DocumentNotFound,
    PermanentError,
    RateLimited,
    TransientError,
)
from ipernity_provider.bulk.report import BulkFailed
from ipernity_provider.hooks.failures import readable_failures, retry_note
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.replacement.errors import NewDocument, NotFinished, NotVerified, Uncertain
from tests.airflow_exceptions import AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout
from tests.conftest import BOAT, Connect, Service

log = logging.getLogger("tests.failures")


class TaskInstance(SimpleNamespace):
    def __init__(self, **parts: Any) -> None:
        super().__init__(try_number=1, max_tries=2, pushed={}, **parts)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context(ti: Any = None) -> Context:
    return cast("Context", {"ti": ti or TaskInstance()})


def written(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")


def fail(error: BaseException) -> None:
    try:
        raise ValueError("what the error was made of")
    except ValueError as cause:
        raise error from cause


def test_a_permanent_error_is_said_in_lines_and_raised_as_final_and_as_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = DocumentNotFound(
        "Document 1 is gone. Nothing was sent. Look it up.", method="doc.get", code=1
    )
    with pytest.raises(DocumentNotFound) as caught, readable_failures(log, context()):
        fail(error)
    assert isinstance(caught.value, AirflowFailException)
    assert (str(caught.value), caught.value.method, caught.value.code) == (str(error), "doc.get", 1)
    assert type(caught.value).__name__ == "DocumentNotFound"
    *lines, (level, _) = written(caplog)
    assert lines == [
        ("ERROR", "Document 1 is gone."),
        ("ERROR", "Nothing was sent."),
        ("ERROR", "Look it up."),
    ]
    assert level == "DEBUG"
    assert "what the error was made of" in caplog.text


def test_what_is_raised_shows_no_frame_of_where_it_came_from() -> None:
    with pytest.raises(PermanentError) as caught, readable_failures(log, context()):
        fail(PermanentError("No."))
    shown = "".join(traceback.format_exception(caught.value))
    assert "in fail" not in shown
    assert "what the error was made of" not in shown


@pytest.mark.parametrize(
    ("tried", "most", "retried", "note"),
    [
        (1, 2, True, "Airflow will try again; this was try 1 of 3."),
        (2, 2, True, "Airflow will try again; this was try 2 of 3."),
        (3, 2, False, "This was the last try, 3 of 3: clear the task to try again."),
        (1, 0, False, "The task has no retries: clear it to try again, or give it some."),
        (None, 2, False, ""),
    ],
)
def test_a_transient_error_says_whether_airflow_tries_again(
    caplog: pytest.LogCaptureFixture, tried: int | None, most: int, retried: bool, note: str
) -> None:
    ti = TaskInstance()
    ti.try_number, ti.max_tries = tried, most
    error = RateLimited("Too many calls. Wait.", code=112)
    assert retry_note(error, ti) == (retried, note)
    with pytest.raises(RateLimited) as caught, readable_failures(log, context(ti)):
        fail(error)
    assert caught.value is error  # the retry policy waits by its class and code
    assert error.__cause__ is None
    level = "WARNING" if retried else "ERROR"
    said = [(level, line) for line in ("Too many calls.", "Wait.", *([note] if note else []))]
    assert written(caplog)[:-1] == said


def test_a_permanent_error_says_nothing_of_retries() -> None:
    assert retry_note(PermanentError("No."), TaskInstance()) == (False, "")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            Uncertain("It is not known. on_uncertain='send' sends it."),
            "Clear the task with it, or mark the task as successful.",
        ),
        (
            NotVerified("Look at it: if it is right, ..."),
            "If it is not, clear the task: it then sends the file again.",
        ),
        (
            BulkFailed("Of 2 replacements: 1 failed.\nline 2: ..."),
            "Clear the task, or start a new run: what is done already is not sent again.",
        ),
    ],
)
def test_what_to_do_in_airflow_is_said_in_a_task_alone(
    caplog: pytest.LogCaptureFixture, error: PermanentError, advice: str
) -> None:
    said, ti = str(error), TaskInstance()
    with pytest.raises(PermanentError) as outside, readable_failures(log):
        raise type(error)(said)
    assert str(outside.value) == said
    with (
        pytest.raises(PermanentError) as caught,
        readable_failures(log, context(ti), xcoms=lambda error: {"reason": str(error)}),
        readable_failures(log, context(ti)),  # as a hook within an operator
    ):
        fail(error)
    separator = "\n" if "\n" in said else " "
    assert str(caught.value) == f"{said}{separator}{advice}"
    assert [line for _, line in written(caplog)].count(advice) == 1


def test_an_error_of_a_task_that_is_to_be_skipped_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(AirflowSensorTimeout), readable_failures(log, context(), skips=True):
        fail(AirflowSensorTimeout("Timed out. Not finished: t1."))
    assert written(caplog)[:-1] == [("WARNING", "Timed out."), ("WARNING", "Not finished: t1.")]


def test_an_error_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for error in (PermanentError("No."), NotFinished("Not yet.")):
        with (
            pytest.raises((PermanentError, TransientError)),
            readable_failures(log, context()),
            readable_failures(log, context()),
        ):
            fail(error)
    said = [line for level, line in written(caplog) if level != "DEBUG"]
    assert said == ["No.", "Not yet.", "Airflow will try again; this was try 1 of 3."]


def test_any_other_error_keeps_its_frames(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KeyError) as caught, readable_failures(log, context()):
        fail(KeyError("a fault of the program"))
    assert "in fail" in "".join(traceback.format_exception(caught.value))
    assert written(caplog) == []


def test_what_is_known_is_pushed_before_the_error_is_raised() -> None:
    ti = TaskInstance()

    def known(error: BaseException) -> dict[str, Any]:
        assert isinstance(error, NewDocument)
        return {"reason": str(error), "new_doc_id": error.new_doc_id, "url": error.url}

    with pytest.raises(NewDocument) as caught, readable_failures(log, context(ti), xcoms=known):
        fail(NewDocument("A new one.", new_doc_id="10001"))
    assert ti.pushed == {"reason": "A new one.", "new_doc_id": "10001"}
    assert caught.value.new_doc_id == "10001"


def test_an_xcom_that_cannot_be_pushed_does_not_hide_the_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ti = TaskInstance(xcom_push=None)
    with (
        pytest.raises(PermanentError, match="No"),
        readable_failures(log, context(ti), xcoms=lambda _: {"reason": "No."}),
    ):
        fail(PermanentError("No."))
    assert written(caplog)[-1] == (
        "WARNING",
        "What is known of the failure could not be stored as XCom (TypeError).",
    )


def test_a_final_error_can_be_copied_and_sent_to_another_process() -> None:
    with pytest.raises(NewDocument) as caught, readable_failures(log, context()):
        fail(NewDocument("A new one.", new_doc_id="10001"))
    for again in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert type(again) is type(caught.value)
        assert (str(again), again.new_doc_id) == ("A new one.", "10001")


def test_a_hook_outside_of_a_task_raises_errors_of_this_package_and_logs_none(
    service: Service, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    hook = IpernityHook(connect())
    with pytest.raises(DocumentNotFound, match="code 1"):
        hook.call("doc.get", doc_id="99")
    service.fail("code:113", "doc.get", times=9)
    with pytest.raises(RateLimited):
        hook.call("doc.get", doc_id=BOAT)
    assert not any("code 1" in line for level, line in written(caplog) if level == "ERROR")


def test_a_try_whose_time_is_up_says_so_and_keeps_its_frames(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(AirflowTaskTimeout) as caught, readable_failures(log, context()):
        fail(AirflowTaskTimeout("Timed out. Not finished: t1."))
    assert "in fail" in "".join(traceback.format_exception(caught.value))
    said = [line for level, line in written(caplog) if level == "WARNING"]
    assert said == [
        "Timed out.",
        "Not finished: t1.",
        "Airflow will try again; this was try 1 of 3.",
    ]
