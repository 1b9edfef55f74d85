"""What a trigger tells the task that it resumes, and how the task reads it: fail-closed.

Airflow stores an event in clear, so it holds tickets, bytes left and sentences, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ipernity_provider.api.errors import IpernityError, PermanentError, TransientError
from ipernity_provider.api.models import Ticket


def settled(tickets: Iterable[Ticket]) -> dict[str, Any]:
    """All tickets are finished, or one of them cannot end well."""
    return {"status": "settled", "tickets": _as_json(tickets)}


def timed_out(tickets: Iterable[Ticket]) -> dict[str, Any]:
    """The deadline has come; ``tickets`` are those that were finished by then."""
    return {"status": "timed_out", "tickets": _as_json(tickets)}


def volume_left(left: int) -> dict[str, Any]:
    """Enough of the month's upload volume is left: so many bytes."""
    return {"status": "enough", "left_bytes": left}


def volume_timed_out(left: int | None) -> dict[str, Any]:
    """The deadline has come; ``left`` are the bytes that were left at the last look, if there was one."""
    return {"status": "timed_out", "left_bytes": left}


def failed(error: IpernityError) -> dict[str, Any]:
    """Looking again would not help."""
    return {
        "status": "failed",
        "message": str(error),
        "method": error.method,
        "code": error.code,
        "title": error.title,
    }


def read_event(event: Any) -> tuple[list[Ticket], bool]:
    """The finished tickets, and whether time ran out.

    :raises PermanentError: the trigger met an error that no retry can mend.
    :raises TransientError: this is no event of the trigger: the task is tried again and goes on with its upload.
    """
    status = _status(event, "settled", "timed_out")
    return [Ticket(**ticket) for ticket in event["tickets"]], status == "timed_out"


def read_volume_event(event: Any) -> tuple[int | None, bool]:
    """The bytes that are left (None: not known), and whether time ran out; errors as for :func:`read_event`."""
    status = _status(event, "enough", "timed_out")
    left = event.get("left_bytes")
    if type(left) is not int and (status == "enough" or left is not None):
        raise _no_event(event)
    return left, status == "timed_out"


def _status(event: Any, *known: str) -> str:
    status = event.get("status") if isinstance(event, dict) else None
    if status == "failed":
        raise PermanentError(
            str(event["message"]),
            method=event.get("method", ""),
            code=event.get("code"),
            title=event.get("title", ""),
        )
    if status not in known:
        raise _no_event(event)
    return str(status)


def _no_event(event: Any) -> TransientError:
    return TransientError(
        f"The task was resumed by something that is no event of its trigger: {type(event).__name__}."
    )


def _as_json(tickets: Iterable[Ticket]) -> list[dict[str, Any]]:
    return [{"id": ticket.id, "state": ticket.state, "doc_id": ticket.doc_id} for ticket in tickets]
