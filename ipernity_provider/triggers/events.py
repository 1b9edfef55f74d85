"""What a TicketTrigger tells the task that it resumes, and how the task reads it: fail-closed.

Airflow stores an event in clear, so it holds tickets and sentences, and nothing else.
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
    status = event.get("status") if isinstance(event, dict) else None
    if status == "failed":
        raise PermanentError(
            str(event["message"]),
            method=event.get("method", ""),
            code=event.get("code"),
            title=event.get("title", ""),
        )
    if status not in {"settled", "timed_out"}:
        raise TransientError(
            f"The task was resumed by something that is no event of its trigger: {type(event).__name__}."
        )
    return [Ticket(**ticket) for ticket in event["tickets"]], status == "timed_out"


def _as_json(tickets: Iterable[Ticket]) -> list[dict[str, Any]]:
    return [{"id": ticket.id, "state": ticket.state, "doc_id": ticket.doc_id} for ticket in tickets]
