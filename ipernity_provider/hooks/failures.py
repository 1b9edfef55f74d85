"""How errors end an Airflow task.

They become short lines of its log, and one exception that Airflow can handle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from ipernity_provider.airflow_compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)
from ipernity_provider.api.errors import IpernityError, PermanentError, TransientError
from ipernity_provider.replacement.errors import Cancelled, NotVerified, Uncertain
from ipernity_provider.text import Log, log_lines

if TYPE_CHECKING:
    from airflow.sdk import Context

_LOGGED = "_ipernity_logged"


@contextmanager
def readable_failures(
    log: Log | None = None,
    context: Context | None = None,
    *,
    skips: bool = False,
    xcoms: Callable[[BaseException], Mapping[str, Any]] | None = None,
) -> Iterator[None]:
    """Log an error of the block in short lines, and raise it without its inner frames.

    A permanent error is raised as an :class:`AirflowFailException` that still is of its own class:
    Airflow ends the task at once, without retries. Other errors keep their class, for Airflow's
    retries. The traceback is logged at DEBUG. Outside of a task nothing is logged; also a ``with
    readable_failures():`` of one's own in a ``@task`` function does this.

    :param log: where to write; a log of this module by default.
    :param context: of the task; the current one by default.
    :param skips: the task is to be skipped by its errors (``soft_fail``), so they are warnings.
    :param xcoms: what to push of an error before it is raised: key -> value, None for what is not
        known.
    :raises IpernityError: as above.
    """
    try:
        yield
    except (IpernityError, Cancelled, AirflowSensorTimeout, AirflowTaskTimeout) as error:
        context = context or current_context()
        if context is not None and not hasattr(error, _LOGGED):
            _add_advice(error)
            _log_failure(log or logging.getLogger(__name__), context, error, skips=skips)
            if xcoms:
                _push(log or logging.getLogger(__name__), context, xcoms(error))
        setattr(error, _LOGGED, True)
        if isinstance(error, AirflowTaskTimeout):
            raise  # its frames say where the time went
        final = as_final(error) if isinstance(error, PermanentError) else error
        raise final.with_traceback(None) from None


def as_final(error: PermanentError) -> PermanentError:
    """Return the error as one that also is an :class:`AirflowFailException`.

    Its class, text and codes stay.
    """
    if isinstance(error, AirflowFailException):
        return error
    kind = _final_class(cast("Any", type(error)))
    final = kind.__new__(kind, *error.args)
    final.__dict__.update(error.__dict__)
    return final


@cache
def _final_class(kind: type[PermanentError]) -> type[PermanentError]:
    """Return a class of the same name that also is an :class:`AirflowFailException`.

    Airflow's log shows the name of the class in front of the message.
    """

    def reduce(error: PermanentError) -> tuple[Any, ...]:
        return _restore, (kind, error.args, error.__dict__)

    members = {"__module__": kind.__module__, "__doc__": kind.__doc__, "__reduce__": reduce}
    return cast("type[PermanentError]", type(kind.__name__, (kind, AirflowFailException), members))


def _restore(
    kind: type[PermanentError], args: tuple[Any, ...], members: dict[str, Any]
) -> PermanentError:
    """Create an error again after it was sent to another process.

    Its class cannot be imported by name.
    """
    error = kind.__new__(kind, *args)
    error.__dict__.update(members)
    return as_final(error)


def current_context() -> Context | None:
    """Return the context of the task that is running; None outside of one."""
    from airflow.sdk import get_current_context

    try:
        return get_current_context()
    except RuntimeError:  # not in a task
        return None


def _add_advice(error: BaseException) -> None:
    """Add to the text of an error what to do about it in Airflow.

    The errors of the core are also read at the command line, where there is no task.
    """
    from ipernity_provider.bulk.report import BulkFailed

    advice: Mapping[type[BaseException], str] = {
        BulkFailed: "Clear the task, or start a new run: what is done already is not sent again.",
        Uncertain: "Clear the task with it, or mark the task as successful.",
        NotVerified: "If it is not, clear the task: it then sends the file again.",
    }
    text = str(error)
    for kind, sentence in advice.items():
        if isinstance(error, kind):
            separator = "\n" if "\n" in text else " "
            error.args = (f"{text}{separator}{sentence}", *error.args[1:])


def _log_failure(log: Log, context: Context, error: BaseException, *, skips: bool) -> None:
    retried, note = retry_note(error, context.get("ti"))
    level = logging.WARNING if retried or skips else logging.ERROR
    log_lines(log, level, str(error))
    if note:
        log_lines(log, level, note)
    log.log(logging.DEBUG, "Where the error came from:", exc_info=error)


def retry_note(error: BaseException, ti: Any) -> tuple[bool, str]:
    """Return whether Airflow will retry the task, and the sentence that says so.

    The sentence is empty if it makes no difference.
    """
    tried, most = getattr(ti, "try_number", None), getattr(ti, "max_tries", None)
    if not (
        isinstance(error, TransientError | AirflowTaskTimeout)
        and isinstance(tried, int)
        and isinstance(most, int)
    ):
        return False, ""
    if tried <= most:
        return True, f"Airflow will try again; this was try {tried} of {most + 1}."
    if most == 0:
        return False, "The task has no retries: clear it to try again, or give it some."
    return False, f"This was the last try, {tried} of {most + 1}: clear the task to try again."


def _push(log: Log, context: Context, values: Mapping[str, Any]) -> None:
    try:
        for key, value in values.items():
            if value is not None:
                context["ti"].xcom_push(key=key, value=value)
    except Exception as error:  # noqa: BLE001 - the failure itself is what has to be seen
        told = f"What is known of the failure could not be stored as XCom ({type(error).__name__})."
        log.log(logging.WARNING, told)
