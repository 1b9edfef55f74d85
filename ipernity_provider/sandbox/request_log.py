"""What ``GET /_sandbox/requests`` shows: the latest calls, without anything secret.

A value that authenticates a caller is replaced by its name, also where it is part of a string that
was signed; so are the credentials of the sandbox, wherever they stand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.request import ApiRequest

MAX_RECORDS = 1000
MAX_CHARACTERS = 2000
"""The longest text of a record; what is longer is cut."""

HIDDEN = frozenset(
    {
        *("api_key", "api_sig", "auth_token", "frob"),
        *("oauth_consumer_key", "oauth_signature", "oauth_token", "oauth_verifier"),
    }
)
"""Parameters whose values are not shown."""


def masked(name: str, value: str) -> str:
    """Return the value of a parameter as it may be shown."""
    return f"<{name}>" if name in HIDDEN else value


@dataclass
class RequestRecord:
    """One call and its answer.

    :param http: the status of the answer; None when the connection was closed without one.
    :param status: how the call ended, ``ok`` or ``error``; empty when it was not carried out. A
        fault may have replaced the answer.
    :param signed: for a wrong signature, the string that should have been signed.
    """

    at: float
    method: str
    verb: str
    format: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    file: Mapping[str, str | int] | None = None
    fault: str | None = None
    http: int | None = None
    status: str = ""
    code: int | None = None
    message: str | None = None
    signed: str | None = None

    def read(self, call: ApiRequest) -> None:
        """Enter the parameters and the file of the call."""
        kept = 2 * MAX_CHARACTERS  # more than is shown: a secret may become shorter
        self.params = {name: masked(name, value)[:kept] for name, value in call.params.items()}
        if call.file is not None:
            self.file = {"filename": call.file.filename, "bytes": call.file.bytes}

    def refuse(self, error: ApiError) -> None:
        """Enter the error that answers the call."""
        self.status, self.code, self.message = "error", error.code, error.title
        self.signed = error.signed and error.signed[: 2 * MAX_CHARACTERS]


@dataclass
class RequestLog:
    """The latest calls, the first one first."""

    records: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=MAX_RECORDS))

    def start(self, at: float, method: str, verb: str, reply_format: str = "") -> RequestRecord:
        record = RequestRecord(at, method, verb, reply_format)
        self.records.append(record)
        return record

    def as_json(self, secrets: Iterable[str]) -> list[Any]:
        """Return all records.

        :param secrets: texts that are replaced wherever they stand.
        """
        hidden = sorted(filter(None, secrets), key=len, reverse=True)
        return [_shown(asdict(record), hidden) for record in self.records]


def _shown(value: Any, hidden: list[str]) -> Any:
    if isinstance(value, dict):
        return {_shown(name, hidden): _shown(member, hidden) for name, member in value.items()}
    if not isinstance(value, str):
        return value
    for secret in hidden:
        value = value.replace(secret, "<secret>")
    over = len(value) - MAX_CHARACTERS
    return value if over <= 0 else f"{value[:MAX_CHARACTERS]}… ({over} characters more)"
