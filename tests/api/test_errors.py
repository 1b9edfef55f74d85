"""Each documented code, provoked in the service, arrives as the right exception."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    CredentialError,
    DocumentNotFound,
    IpernityError,
    PermanentError,
    QuotaExceeded,
    RateLimited,
    ServiceDown,
    ServiceFault,
    StaleSignature,
    TicketNotFound,
)
from tests.conftest import BOAT, SECRETS, Service

COMMON: dict[int, tuple[str, type[IpernityError]]] = {
    100: ("API Key is missing", PermanentError),
    101: ("API Key is invalid", CredentialError),
    102: ("Invalid format", PermanentError),
    103: ("Method not found", PermanentError),
    104: ("Signature missing", PermanentError),
    105: ("Signature is invalid", CredentialError),
    106: ("Token missing", CredentialError),
    107: ("Token invalid", CredentialError),
    108: ("Account closed", CredentialError),
    109: ("Action blocked", PermanentError),
    110: ("Insufficient permissions", CredentialError),
    111: ("IP not allowed", CredentialError),
    112: ("Application Quota Error", RateLimited),
    113: ("Client IP Quota Error", RateLimited),
    120: ("HTTP POST required", PermanentError),
    121: ("Invalid SOAP envelope", PermanentError),
    122: ("Invalid XML-RPC envelope", PermanentError),
    130: ("OAuth protocol version unsupported", PermanentError),
    131: ("OAuth parameters are missing", PermanentError),
    132: ("OAuth Clock skew", StaleSignature),
    133: ("OAuth Nonce is invalid", StaleSignature),
    134: ("OAuth Timestamp is invalid", StaleSignature),
    135: ("OAuth Signature method unsupported", PermanentError),
    500: ("Service error", ServiceFault),
    501: ("Maintenance mode", ServiceDown),
    503: ("Service unavailable", ServiceDown),
    199: ("", PermanentError),
}
REPLACE: dict[int, tuple[str, type[IpernityError]]] = {
    1: ("File is missing or empty", PermanentError),
    2: ("File size exceeded limits", PermanentError),
    3: ("User exceeded upload limits", QuotaExceeded),
    4: ("Document not found", DocumentNotFound),
    5: ("File media type differs from the existing file", PermanentError),
    6: ("PRO account feature", CredentialError),
    99: ("", PermanentError),
}
SIGNED_AGAIN = {133, 134}  # have tests of their own: see test_signing_again.py
CASES = [
    *(
        ("doc.get", code, *expected)
        for code, expected in COMMON.items()
        if code not in SIGNED_AGAIN
    ),
    *(
        ("upload.replace", code, *expected)
        for code, expected in (COMMON | REPLACE).items()
        if code not in SIGNED_AGAIN
    ),
    ("upload.checkTickets", 1, "", TicketNotFound),
    ("doc.get", 1, "Document not found", DocumentNotFound),
    ("doc.getMedias", 1, "Document not found", DocumentNotFound),
    ("upload.file", 1, "File is missing or empty", PermanentError),
    ("upload.file", 3, "", PermanentError),
]


@pytest.mark.parametrize("auth", ["signature", "oauth"])
@pytest.mark.parametrize(("method", "code", "title", "error"), CASES)
def test_each_code_arrives_as_its_exception_with_method_code_and_title(
    service: Service,
    picture: Path,
    auth: str,
    method: str,
    code: int,
    title: str,
    error: type[IpernityError],
) -> None:
    service.fail(f"code:{code}", method)
    with service.client(auth, attempts=1) as client, pytest.raises(IpernityError) as caught:
        call(client, method, picture)
    raised = caught.value
    assert type(raised) is error
    assert (raised.method, raised.code) == (method, code)
    assert not title or raised.title == title
    assert f"(code {code})" in str(raised)
    assert not any(secret in str(raised) for secret in SECRETS)
    assert raised.kind == kind_of(error)
    # The file was taken as a whole when these came: see test_replies.py.
    doubtful = {500} if method == "doc.get" else {112, 113, 132, 133, 134, 500, 501, 503}
    assert raised.maybe_accepted is (code in doubtful)
    assert service.ledger() == []


def kind_of(error: type[IpernityError]) -> str:
    if issubclass(error, CredentialError):
        return "credential"
    return "permanent" if issubclass(error, PermanentError) else "transient"


def call(client: IpernityClient, method: str, file: Path) -> None:
    calls: dict[str, Callable[[], object]] = {
        "doc.get": lambda: client.get_document(BOAT),
        "doc.getMedias": lambda: client.get_medias(BOAT),
        "upload.replace": lambda: client.upload_replace(BOAT, file),
        "upload.file": lambda: client.upload_file(file),
        # One ticket: a batch that fails is asked for singly, and that is another test.
        "upload.checkTickets": lambda: client.call("upload.checkTickets", tickets=["1"]),
    }
    calls[method]()
