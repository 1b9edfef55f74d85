"""Whose word an answer is, and what follows from it.

Only a well-formed reply of the service itself, with its envelope, is the service's word. A page of
a proxy, a redirect, an empty or a broken answer says nothing about what the service did, whatever
its HTTP status is.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ipernity_provider.api.errors import (
    FILE_MAY_HAVE_ARRIVED,
    AnswerLost,
    BrokenOff,
    IpernityError,
    PermanentError,
    RateLimited,
    api_error,
)
from ipernity_provider.api.parsing import Answer, Payload, as_int, as_map, as_text, decode

# Of the statuses from 400, these pass by themselves.
_PASSING = frozenset({408, 421, 423, 425, 429})


def parse_reply(
    method: str, answer: Answer, subject: str = "", *, upload_ended: bool | None = None
) -> Payload:
    """Return the payload of a successful reply, the ``api`` envelope included.

    :param subject: what the call was about, e.g. ``document 5412``.
    :param upload_ended: for an upload: whether its last byte had left when this answer came; None
        for any other call.
    :raises IpernityError: the typed error for an error reply, or for an answer that is not the
        service's.
    """
    envelope = decode(answer.body)
    api = as_map((envelope or {}).get("api"))
    status, code = api.get("status"), as_int(api.get("code"))
    if status == "ok" and 200 <= answer.status < 300:
        if envelope is None or upload_ended is False:
            raise AnswerLost(
                f"{method}: the service answered before the whole file was sent."
                f" {FILE_MAY_HAVE_ARRIVED}",
                method=method,
            )
        return envelope
    if status != "ok" and isinstance(status, str) and code is not None and 0 <= code < 10_000:
        raise api_error(
            method,
            code,
            as_text(api.get("message")),
            subject,
            upload_ended=upload_ended,
            retry_after=answer.retry_after,
        )
    what = (
        "something unreadable or cut off"
        if envelope is None
        else "a reply with neither a result nor an error code"
    )
    start = answer.body[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        what = "a web page"
    elif not answer.body.strip():
        what = "nothing"
    if upload_ended is not None:
        raise _lost_upload(method, answer, what, upload_ended)
    raise _lost_call(method, answer, what)


def _lost_upload(method: str, answer: Answer, what: str, ended: bool) -> IpernityError:
    """Return the error for an upload whose answer is not the service's own.

    Once the last byte is sent, only an answer of the service itself proves a refusal.
    """
    found = f"HTTP {answer.status} with {what} instead of the service's answer"
    kind: type[IpernityError]
    if ended:
        kind = RateLimited if answer.status == 429 else AnswerLost
        sentence = (
            f"{method}: the answer is {found}: maintenance, or a proxy in between?"
            f" {FILE_MAY_HAVE_ARRIVED}"
        )
    elif answer.status < 400 or is_passing(answer.status):
        kind = RateLimited if answer.status == 429 else BrokenOff
        sentence = (
            f"{method}: {found} came before the file was through; nothing was replaced. Try again"
            " later."
        )
    else:
        kind = PermanentError
        sentence = (
            f"{method}: {found} came before the file was through; nothing was replaced. Something"
            " between here and the service refuses the upload: check the connection's host and"
            " proxy, and how large a file they let through."
        )
    return kind(sentence, method=method, maybe_accepted=ended, retry_after=answer.retry_after)


def _lost_call(method: str, answer: Answer, what: str) -> IpernityError:
    status, wait = answer.status, answer.retry_after
    if status == 429:
        return RateLimited(
            f"{method}: too many calls (HTTP 429). Wait, or call less often.",
            method=method,
            retry_after=wait,
        )
    if is_passing(status):
        return AnswerLost(
            f"{method}: the service failed with HTTP {status}. Try again later.",
            method=method,
            retry_after=wait,
        )
    if status >= 400:
        return PermanentError(
            f"{method}: refused with HTTP {status} and {what} instead of data. Check the"
            " connection's host and proxy, and that its extra does not switch `lg` off: the"
            " service seems to refuse calls without it.",
            method=method,
        )
    if status >= 300 and _is_moved(method, answer.headers.get("Location", "")):
        return PermanentError(
            f"{method}: HTTP {status} sends the call to another address; it was not followed,"
            " because that would lose the posted data. Set the connection's host to the right"
            " address (https?).",
            method=method,
        )
    return AnswerLost(
        f"{method}: the answer is {what} instead of data (HTTP {status}): maintenance, or a proxy"
        " in between?",
        method=method,
        retry_after=wait,
    )


def is_passing(status: int) -> bool:
    """Return whether an HTTP error status is expected to pass by itself."""
    return status >= 500 or status in _PASSING


def _is_moved(method: str, location: str) -> bool:
    """Return whether a redirect leads to the same call elsewhere.

    Any other redirect leads to some web page.
    """
    try:
        return f"/{method}/" in urlsplit(location).path
    except ValueError:
        return False
