"""What a trigger tells the task that it resumes, and how the task reads it: fail-closed.

Airflow stores an event in clear, so it holds no secret: tickets, bytes left, sentences, and the
``state`` that the task gave its trigger to have it back. An event is all that is left of it:
``airflow dags test`` (3.3) drops the keyword arguments of a deferral.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ipernity_provider.api.errors import IpernityError, PermanentError, TransientError
from ipernity_provider.api.models import Ticket


def settled(tickets: Iterable[Ticket], state: dict[str, Any]) -> dict[str, Any]:
    """All tickets are finished, or one of them cannot end well."""
    return {"status": "settled", "tickets": _as_json(tickets), "state": state}


def timed_out(tickets: Iterable[Ticket], state: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a deadline; ``tickets`` are those that were finished by then."""
    return {"status": "timed_out", "tickets": _as_json(tickets), "state": state}


def volume_left(left: int, state: dict[str, Any]) -> dict[str, Any]:
    """Enough of the month's upload volume is left: so many bytes."""
    return {"status": "enough", "left_bytes": left, "state": state}


def volume_timed_out(left: int | None, state: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a deadline.

    ``left`` are the bytes that were left at the last poll, if there was one.
    """
    return {"status": "timed_out", "left_bytes": left, "state": state}


def failed(error: IpernityError) -> dict[str, Any]:
    """Return the event of an error that another poll would not mend."""
    return {
        "status": "failed",
        "message": str(error),
        "method": error.method,
        "code": error.code,
        "title": error.title,
    }


def read_event(event: Any) -> tuple[list[Ticket], bool, dict[str, Any]]:
    """Return the finished tickets, whether time ran out, and the state that the trigger was given.

    The state is empty where the task was deferred by a version whose triggers had none.

    :raises PermanentError: the trigger met an error that no retry can mend.
    :raises TransientError: the event is not one of the trigger's: a retry goes on with the upload.
    """
    status = _status(event, "settled", "timed_out")
    with reading(event):
        tickets = [Ticket(**ticket) for ticket in event["tickets"]]
        return tickets, status == "timed_out", dict(event.get("state") or {})


def read_volume_event(event: Any) -> tuple[int | None, bool, dict[str, Any]]:
    """Return the bytes left (None: not known), whether time ran out, and the state.

    It raises what :func:`read_event` raises.
    """
    status = _status(event, "enough", "timed_out")
    left = event.get("left_bytes")
    if type(left) is not int and (status == "enough" or left is not None):
        raise _unexpected(event)
    with reading(event):
        return left, status == "timed_out", dict(event.get("state") or {})


@contextmanager
def reading(event: Any) -> Iterator[None]:
    """Take what does not have the expected shape for an event that is not the trigger's.

    :raises TransientError: in place of the error that reading it has raised.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unexpected(event) from error


def _status(event: Any, *known: str) -> str:
    status = event.get("status") if isinstance(event, dict) else None
    if status == "failed":
        raise PermanentError(
            str(event.get("message") or "The trigger has failed and does not say why."),
            method=event.get("method", ""),
            code=event.get("code"),
            title=event.get("title", ""),
        )
    if status not in known:
        raise _unexpected(event)
    return str(status)


def _unexpected(event: Any) -> TransientError:
    kind = type(event).__name__
    return TransientError(
        f"The task was resumed with an unexpected event, a {kind} that its trigger does not send. A"
        " retry goes on."
    )


def _as_json(tickets: Iterable[Ticket]) -> list[dict[str, Any]]:
    return [{"id": ticket.id, "state": ticket.state, "doc_id": ticket.doc_id} for ticket in tickets]
