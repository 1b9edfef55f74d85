"""What storages raise, as words: known by class, code and status, and never by a text that may hold a secret."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from ipernity_provider.api.errors import SourceUnreadable
from ipernity_provider.api.multipart import reading
from ipernity_provider.api.storage import READ_BLOCK_BYTES, fault_of, open_to_read, shown

SIGNED = "https://media.example.org/boat.jpg?sig=s3cr3t&se=2026"
DENIES = "check the credentials of its connection, their rights, and the name, for some storages say so of what does not exist"


def looks_like(
    name: str, text: str = SIGNED, base: type[Exception] = Exception, **attributes: Any
) -> Exception:
    """An exception of a library that is not installed here."""
    error: Exception = type(name, (base,), attributes)(text)
    return error


def answered(code: str, status: int) -> Exception:
    """botocore's own."""
    error: Exception = botocore.exceptions.ClientError(
        {"Error": {"Code": code, "Message": SIGNED}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "GetObject",
    )
    return error


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


PERMANENT = [
    (FileNotFoundError(SIGNED), "does not exist"),
    (caused_by(FileNotFoundError(SIGNED), answered("NoSuchBucket", 404)), "does not exist: there is no such bucket or container"),
    (answered("NoSuchKey", 404), "does not exist"),
    (looks_like("ResourceNotFoundError", status_code=404), "does not exist"),
    (looks_like("ResourceNotFoundError", status_code=404, error_code="ContainerNotFound"), "does not exist: there is no such bucket or container"),
    (IsADirectoryError(SIGNED), "is a folder"),
    (PermissionError(errno.EACCES, SIGNED), "cannot be read: Permission denied"),
    (NotADirectoryError(errno.ENOTDIR, SIGNED), "cannot be read: Not a directory"),
    (PermissionError(SIGNED), f"cannot be read: its storage denies access; {DENIES}"),
    (caused_by(PermissionError(SIGNED), answered("SignatureDoesNotMatch", 403)), f"cannot be read: its storage denies access (SignatureDoesNotMatch); {DENIES}"),
    (answered("AccessDenied", 403), f"cannot be read: its storage denies access (AccessDenied); {DENIES}"),
    (OSError(f"Forbidden: {SIGNED}\nno"), f"cannot be read: its storage denies access; {DENIES}"),  # gcsfs
    (looks_like("HttpError", code=401), f"cannot be read: its storage denies access (401); {DENIES}"),  # gcsfs
    (looks_like("HttpResponseError", status_code=403), f"cannot be read: its storage denies access (403); {DENIES}"),
    (looks_like("ClientResponseError", status=403), f"cannot be read: its storage denies access (403); {DENIES}"),
    (botocore.exceptions.NoCredentialsError(), "cannot be read: there are no usable credentials for its storage (NoCredentialsError); check its connection"),
    (botocore.exceptions.PartialCredentialsError(provider="env", cred_var=SIGNED), "cannot be read: there are no usable credentials for its storage (PartialCredentialsError); check its connection"),
    (looks_like("DefaultCredentialsError"), "cannot be read: there are no usable credentials for its storage (DefaultCredentialsError); check its connection"),
    (looks_like("ClientAuthenticationError"), "cannot be read: there are no usable credentials for its storage (ClientAuthenticationError); check its connection"),
    (botocore.exceptions.ProfileNotFound(profile=SIGNED), "cannot be read: the settings of its storage are wrong (ProfileNotFound); check its connection"),
    (ValueError("Attempt to open non key-like path: media"), "cannot be opened: Attempt to open non key-like path: media"),
    (ValueError(f"Invalid endpoint: {SIGNED}"), "cannot be opened: ValueError"),
    (ValueError("unable to connect to account for AccountKey=s3cr3t"), "cannot be opened: ValueError"),
    (ImportError("Install gcsfs to access GCS."), "cannot be opened: Install gcsfs to access GCS"),
]  # fmt: skip

TRANSIENT = [
    (botocore.exceptions.EndpointConnectionError(endpoint_url=SIGNED), "cannot be read: its storage cannot be reached or does not answer (EndpointConnectionError)"),
    (botocore.exceptions.ReadTimeoutError(endpoint_url=SIGNED), "cannot be read: its storage cannot be reached or does not answer (ReadTimeoutError)"),
    (botocore.exceptions.SSLError(endpoint_url=SIGNED, error=SIGNED), "cannot be read: its storage cannot be reached or does not answer (SSLError)"),
    (ConnectionRefusedError(errno.ECONNREFUSED, SIGNED), "cannot be read: its storage cannot be reached or does not answer (ConnectionRefusedError)"),
    (looks_like("FSTimeoutError", base=TimeoutError), "cannot be read: its storage cannot be reached or does not answer (FSTimeoutError)"),
    (caused_by(RuntimeError(SIGNED), looks_like("ServiceRequestError")), "cannot be read: its storage cannot be reached or does not answer (RuntimeError)"),  # adlfs
    (caused_by(RuntimeError(SIGNED), looks_like("NobodyKnowsThisError")), "cannot be read: RuntimeError"),
    (looks_like("ServiceRequestError"), "cannot be read: its storage cannot be reached or does not answer (ServiceRequestError)"),
    (looks_like("ClientConnectorError", base=OSError), "cannot be read: its storage cannot be reached or does not answer (ClientConnectorError)"),
    (answered("SlowDown", 503), "cannot be read: its storage answers SlowDown"),
    (caused_by(OSError(errno.EBUSY, SIGNED), answered("SlowDown", 503)), "cannot be read: its storage answers SlowDown"),
    (looks_like("HttpResponseError", status_code=500), "cannot be read: its storage answers 500"),
    (OSError(errno.EIO, SIGNED), "cannot be read: Input/output error"),
    (OSError(SIGNED), "cannot be read: OSError"),
    (looks_like("NobodyKnowsThisError"), "cannot be read: NobodyKnowsThisError"),
    (looks_like("NobodyKnowsThisError", code=SIGNED), "cannot be read: NobodyKnowsThisError"),
    (looks_like("FileExpired", base=OSError), "was changed while it was read"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "words"), PERMANENT, ids=lambda value: type(value).__name__)
def test_what_no_retry_mends(error: Exception, words: str) -> None:
    fault = fault_of(error)
    assert (fault.words, fault.permanent) == (words, True)


@pytest.mark.parametrize(("error", "words"), TRANSIENT, ids=lambda value: type(value).__name__)
def test_what_a_retry_may_mend(error: Exception, words: str) -> None:
    fault = fault_of(error)
    assert (fault.words, fault.permanent) == (words, False)


def test_a_fault_while_sending_is_transient_and_hides_its_cause() -> None:
    with pytest.raises(
        SourceUnreadable, match=r"^boat\.jpg cannot be read: its storage denies access"
    ) as caught:
        with reading("boat.jpg"):
            raise answered("AccessDenied", 403)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (SIGNED, "https://media.example.org/boat.jpg?..."),
        ("s3://media/boat.jpg", "s3://media/boat.jpg"),
        (Path("/data/boat?.jpg"), "/data/boat?.jpg"),
    ],
)
def test_an_address_is_shown_without_its_query(path: object, words: str) -> None:
    assert shown(path) == words


def test_a_stored_file_is_opened_in_small_blocks_and_a_local_one_as_it_is(tmp_path: Path) -> None:
    from upath import UPath

    stored = UPath("memory://media/boat.jpg")
    stored.write_bytes(b"boat")
    assert open_to_read(stored).read() == b"boat"
    file = tmp_path / "boat.jpg"
    file.write_bytes(b"boat")
    with open_to_read(file) as stream:
        assert stream.read() == b"boat"
    assert READ_BLOCK_BYTES == 8 << 20
