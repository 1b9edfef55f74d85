"""The service's error codes as exceptions.

A code below 100 belongs to its method: 1 of ``doc.get`` and 1 of ``upload.replace`` are different
errors. Codes from 100 mean the same everywhere. Only the code decides: the service may translate
its messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ipernity_provider.text import clean_text

ErrorKind = Literal["transient", "permanent", "credential"]

_LONGEST_TITLE = 200


class IpernityError(Exception):
    """A call that did not give a result; its text is one sentence for a person, without secrets.

    :param message: the sentence.
    :param method: the API method that was called, e.g. ``upload.replace``.
    :param code: the service's error number; None where the service gave none (transport errors).
    :param title: the short title of the error, from the service or else from its documentation.
    :param maybe_accepted: whether the service may have acted on the call anyway; for an upload:
        whether the file may have arrived. None stands for the class's own answer.
    :param retry_after: seconds for which the service asks to wait before another call; None if it
        does not say.
    """

    #: Whether trying again can help: ``transient``, ``permanent``, or ``credential`` (a person has
    #: to act).
    kind: ClassVar[ErrorKind] = "permanent"
    maybe_accepted: bool = False
    #: The page of the document that it is about, where that is known.
    url: str | None = None

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        code: int | None = None,
        title: str = "",
        maybe_accepted: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.method = method
        self.code = code
        self.title = title
        self.retry_after = retry_after
        if maybe_accepted is not None:
            self.maybe_accepted = maybe_accepted


class TransientError(IpernityError):
    """The same call may succeed later."""

    kind = "transient"

    def to_json(self) -> dict[str, Any]:
        """Return the error as JSON-simple values, for another process."""
        return {
            "type": type(self).__name__,
            "message": str(self),
            "method": self.method,
            "code": self.code,
            "title": self.title,
            "retry_after": self.retry_after,
        }

    @staticmethod
    def from_json(stored: dict[str, Any]) -> TransientError:
        """Return the error again; of its class, only what decides how long to wait is kept."""
        kinds = {kind.__name__: kind for kind in (RateLimited, ServiceDown)}
        kind = kinds.get(stored["type"], TransientError)
        return kind(
            stored["message"],
            method=stored["method"],
            code=stored["code"],
            title=stored["title"],
            retry_after=stored.get("retry_after"),
        )


class Unreachable(TransientError):
    """No connection to the service: nothing was sent."""


class BrokenOff(TransientError):
    """An upload ended before its last byte had left: the service cannot have accepted it."""


class AnswerLost(TransientError):
    """The call went out, but no readable answer came back: the service may have acted on it."""

    maybe_accepted = True


class ReplyInvalid(AnswerLost):
    """The answer is well-formed, but a member is missing, not of its type, or about something else.

    :param member: its dotted path, e.g. ``doc.original.bytes``.
    """

    def __init__(self, message: str, *, member: str, method: str = "") -> None:
        super().__init__(message, method=method)
        self.member = member


class ServiceFault(TransientError):
    """Code 500: a general fault of the service, which may have acted on the call."""

    maybe_accepted = True


class ServiceDown(TransientError):
    """Codes 501 and 503: maintenance, overload or outage; lasts minutes to days."""


class RateLimited(TransientError):
    """Codes 112 and 113, HTTP 429: the key or the address has made too many calls."""


class StaleSignature(TransientError):
    """Codes 132 to 134: OAuth timestamp or nonce refused; a call that is signed again may pass.

    A gateway that repeats a call gets code 133 for the second one, so a refused upload may have
    been accepted.
    """


class SourceChanged(TransientError):
    """The file is not what was announced; the upload was broken off before its last byte.

    :param md5: what was read instead, lower-case hex, if all of it was read.
    :param size: the bytes of that.
    """

    def __init__(self, message: str, *, md5: str | None = None, size: int = 0) -> None:
        super().__init__(message)
        self.md5 = md5
        self.size = size


class SourceUnreadable(TransientError):
    """The file cannot be read; the upload was broken off before its last byte."""


class PermanentError(IpernityError):
    """The same call will fail again."""


class DocumentNotFound(PermanentError):
    """The document does not exist, or the caller may not see (or change) it.

    The service does not say which.
    """


class TicketNotFound(PermanentError):
    """Some or all of the tickets are unknown to the service."""


class QuotaExceeded(PermanentError):
    """The account's monthly upload volume is used up."""


class CredentialError(PermanentError):
    """Key, secret, token or account: a person has to act."""

    kind = "credential"


@dataclass(frozen=True)
class CodeMeaning:
    """What one error code means: its documented title, its exception, and what a user can do."""

    title: str
    error: type[IpernityError]
    advice: str


_BUG = "This is a bug of the calling program."
_AUTHORIZE = "Authorize the application again and store the new token in the connection."
_NOT_SEEN = "Check the id, and that the token belongs to the document's owner."

#: Codes from 100: the same for every method.
COMMON_CODES: dict[int, CodeMeaning] = {
    100: CodeMeaning("API Key is missing", PermanentError, "Set api_key in the connection."),
    101: CodeMeaning(
        "API Key is invalid", CredentialError, "Check api_key: it is unknown or was disabled."
    ),
    102: CodeMeaning("Invalid format", PermanentError, _BUG),
    103: CodeMeaning("Method not found", PermanentError, "Check the method's name."),
    104: CodeMeaning("Signature missing", PermanentError, _BUG),
    105: CodeMeaning(
        "Signature is invalid",
        CredentialError,
        "Check the API secret (with OAuth, the token secret too).",
    ),
    106: CodeMeaning("Token missing", CredentialError, "Set token in the connection."),
    107: CodeMeaning("Token invalid", CredentialError, f"It is wrong or was revoked. {_AUTHORIZE}"),
    108: CodeMeaning(
        "Account closed",
        CredentialError,
        "The account is closed or suspended; log in at ipernity.com.",
    ),
    109: CodeMeaning(
        "Action blocked", PermanentError, "A member's or group's block list forbids it."
    ),
    110: CodeMeaning(
        "Insufficient permissions", CredentialError, f"The token lacks a right. {_AUTHORIZE}"
    ),
    111: CodeMeaning(
        "IP not allowed",
        CredentialError,
        "Add this machine's address to the key's list at ipernity.com.",
    ),
    112: CodeMeaning(
        "Application Quota Error",
        RateLimited,
        "The key has used up its calls: wait, or call less often.",
    ),
    113: CodeMeaning(
        "Client IP Quota Error",
        RateLimited,
        "Too many calls from this address: wait, or call less often.",
    ),
    120: CodeMeaning("HTTP POST required", PermanentError, _BUG),
    121: CodeMeaning("Invalid SOAP envelope", PermanentError, _BUG),
    122: CodeMeaning("Invalid XML-RPC envelope", PermanentError, _BUG),
    130: CodeMeaning("OAuth protocol version unsupported", PermanentError, _BUG),
    131: CodeMeaning("OAuth parameters are missing", PermanentError, _BUG),
    132: CodeMeaning("OAuth Clock skew", StaleSignature, "Set this machine's clock."),
    133: CodeMeaning("OAuth Nonce is invalid", StaleSignature, "Sign the call again."),
    134: CodeMeaning(
        "OAuth Timestamp is invalid",
        StaleSignature,
        "Sign the call again; check the clocks of all workers.",
    ),
    135: CodeMeaning("OAuth Signature method unsupported", PermanentError, _BUG),
    500: CodeMeaning(
        "Service error", ServiceFault, "The service failed; try again in some minutes."
    ),
    501: CodeMeaning(
        "Maintenance mode", ServiceDown, "The service is being maintained; try again later."
    ),
    503: CodeMeaning(
        "Service unavailable", ServiceDown, "The service is overloaded or down; try again later."
    ),
}

#: Codes below 100, each with its method.
METHOD_CODES: dict[str, dict[int, CodeMeaning]] = {
    "upload.replace": {
        1: CodeMeaning("File is missing or empty", PermanentError, "Check the file."),
        2: CodeMeaning("File size exceeded limits", PermanentError, "Send a smaller file."),
        3: CodeMeaning(
            "User exceeded upload limits", QuotaExceeded, "Wait for the next month's upload volume."
        ),
        4: CodeMeaning("Document not found", DocumentNotFound, _NOT_SEEN),
        5: CodeMeaning(
            "File media type differs from the existing file",
            PermanentError,
            "Replace a photo by a photo, a video by a video.",
        ),
        6: CodeMeaning(
            "PRO account feature", CredentialError, "Replacing needs a PRO (Club) account."
        ),
    },
    "upload.file": {
        1: CodeMeaning("File is missing or empty", PermanentError, "Check the file."),
        2: CodeMeaning("File size exceeded limits", PermanentError, "Send a smaller file."),
        3: CodeMeaning("File is refused", PermanentError, "Its type is probably not supported."),
    },
    "upload.checkTickets": {
        1: CodeMeaning(
            "Ticket not found", TicketNotFound, "The service does not know the ticket any more."
        ),
    },
    "doc.get": {1: CodeMeaning("Document not found", DocumentNotFound, _NOT_SEEN)},
    "doc.getMedias": {1: CodeMeaning("Document not found", DocumentNotFound, _NOT_SEEN)},
    "doc.checkMD5": {
        1: CodeMeaning("Document not found", DocumentNotFound, "No document has these bytes.")
    },
    "doc.delete": {1: CodeMeaning("Document not found", DocumentNotFound, _NOT_SEEN)},
    "doc.set": {
        1: CodeMeaning("Document not found", DocumentNotFound, _NOT_SEEN),
        2: CodeMeaning("No parameter sent", PermanentError, "Name a field to change."),
        3: CodeMeaning("Invalid argument", PermanentError, "Check the fields' values."),
    },
    "doc.getList": {1: CodeMeaning("User invalid", PermanentError, "Check the user id.")},
    "user.get": {
        1: CodeMeaning("User unknown, closed or suspended", PermanentError, "Check the user id.")
    },
    "auth.getToken": {
        1: CodeMeaning("Frob missing", PermanentError, _BUG),
        2: CodeMeaning(
            "Frob invalid",
            CredentialError,
            "It was used, has expired or was not consented to: authorize again.",
        ),
    },
    "api.methods.get": {
        1: CodeMeaning("Method not found", PermanentError, "Check the method's name.")
    },
}

_FAULT = CodeMeaning(
    "Unknown service error", ServiceFault, "The service failed; try again in some minutes."
)
_UNKNOWN = CodeMeaning("Unknown error", PermanentError, "The code is not documented.")


#: An upload that is refused so after its last byte may have been accepted anyway: the service
#: failed while it worked on it, or a gateway repeated the call and this is the answer to the second
#: one.
_MAY_FOLLOW_ACCEPTANCE = (ServiceFault, ServiceDown, RateLimited, StaleSignature)
FILE_MAY_HAVE_ARRIVED = "The file may have arrived."


def meaning_of(method: str, code: int) -> CodeMeaning:
    """Return what a code means in a method's reply.

    An undocumented code is permanent; from 500 on it is a fault of the service.
    """
    if code >= 500:
        return COMMON_CODES.get(code, _FAULT)
    if code >= 100:
        return COMMON_CODES.get(code, _UNKNOWN)
    return METHOD_CODES.get(method, {}).get(code, _UNKNOWN)


def api_error(
    method: str,
    code: int,
    title: str = "",
    subject: str = "",
    *,
    upload_ended: bool | None = None,
    retry_after: float | None = None,
) -> IpernityError:
    """Return the exception that an error reply stands for.

    :param title: the service's message; the documented title stands in for an empty one.
    :param subject: what the call was about, e.g. ``document 5412``.
    :param upload_ended: for an upload: whether its last byte had left when it was refused; None for
        any other call.
    """
    meaning = meaning_of(method, code)
    title = clean_text(title, _LONGEST_TITLE) or meaning.title
    about = f" for {subject}" if subject else ""
    maybe = (
        None
        if upload_ended is None
        else upload_ended and issubclass(meaning.error, _MAY_FOLLOW_ACCEPTANCE)
    )
    return meaning.error(
        f"{method}{about}: {title} (code {code})."
        f" {meaning.advice}{f' {FILE_MAY_HAVE_ARRIVED}' if maybe else ''}",
        method=method,
        code=code,
        title=title,
        maybe_accepted=maybe,
        retry_after=retry_after,
    )
