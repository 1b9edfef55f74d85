"""What storages raise, as words: known by class, code and status, never by a secret text."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from ipernity_provider.files.errors import FileError, NotRegularFile, classify_error, file_error

SIGNED = "https://media.example.org/boat.jpg?sig=s3cr3t&se=2026"
DENIED = "cannot be read: access is denied; check the rights, the credentials and the name"


def looks_like(
    name: str, text: str = SIGNED, base: type[Exception] = Exception, **attributes: Any
) -> Exception:
    """An exception of a library that is not installed here."""
    error: Exception = type(name, (base,), attributes)(text)
    return error


def answered(code: str, status: int) -> Exception:
    """botocore's own."""
    error: Exception = botocore.exceptions.ClientError(
        {
            "Error": {"Code": code, "Message": SIGNED},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "GetObject",
    )
    return error


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


PERMANENT = [
    (FileNotFoundError(SIGNED), "does not exist"),
    (caused_by(FileNotFoundError(SIGNED), answered("NoSuchBucket", 404)), "does not exist"),
    (answered("NoSuchKey", 404), "does not exist"),
    (looks_like("ResourceNotFoundError", status_code=404), "does not exist"),
    (looks_like("ResourceNotFoundError", error_code="ContainerNotFound"), "does not exist"),
    (caused_by(OSError(SIGNED), looks_like("ResourceNotFoundError", status_code=410)),
     "does not exist"),
    (IsADirectoryError(SIGNED), "is a folder"),
    (NotRegularFile("a socket"), "is a socket; only a regular file can be read"),
    (PermissionError(errno.EACCES, SIGNED), DENIED),
    (PermissionError(SIGNED), DENIED),
    (caused_by(PermissionError(SIGNED), answered("SignatureDoesNotMatch", 403)), DENIED),
    (answered("AccessDenied", 403), DENIED),
    (looks_like("HttpError", code=401), DENIED),  # gcsfs
    (looks_like("HttpResponseError", status_code=403), DENIED),
    (looks_like("ClientResponseError", status=403), DENIED),
    (answered("InvalidObjectState", 403),
     "cannot be read: it is in its storage's archive; restore it first"),
    (NotADirectoryError(errno.ENOTDIR, SIGNED),
     "cannot be read: something that is not a folder stands in its place"),
    (OSError(errno.ELOOP, SIGNED), "is a link that leads in a circle"),
    (
        botocore.exceptions.NoCredentialsError(),
        (
            "cannot be read: there are no credentials for its storage (NoCredentialsError); "
            "check its connection"
        ),
    ),
    (
        ImportError("Install gcsfs to access GCS."),
        "cannot be read: the package for its storage is not installed here",
    ),
    (ModuleNotFoundError(SIGNED, name="gcsfs"),
     "cannot be read: the package gcsfs is not installed here"),
]  # fmt: skip

TRANSIENT = [
    (botocore.exceptions.EndpointConnectionError(endpoint_url=SIGNED),
     "cannot be read (EndpointConnectionError)"),
    (ConnectionRefusedError(errno.ECONNREFUSED, SIGNED), "cannot be read: Connection refused"),
    (looks_like("FSTimeoutError", base=TimeoutError), "cannot be read (FSTimeoutError)"),
    (caused_by(RuntimeError(SIGNED), looks_like("ServiceRequestError")),  # adlfs
     "cannot be read (RuntimeError)"),
    (ValueError("unable to connect to account for AccountKey=s3cr3t"),
     "cannot be read (ValueError)"),
    (answered("SlowDown", 503), "cannot be read (ClientError)"),
    (looks_like("HttpResponseError", status_code=500), "cannot be read (HttpResponseError)"),
    (OSError(errno.EIO, SIGNED), "cannot be read: Input/output error"),
    (OSError(SIGNED), "cannot be read (OSError)"),
    (looks_like("UnheardOfError", code=SIGNED), "cannot be read (UnheardOfError)"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "words"), PERMANENT, ids=lambda value: type(value).__name__)
def test_what_no_retry_mends(error: Exception, words: str) -> None:
    assert classify_error(error) == (words, True)


@pytest.mark.parametrize(("error", "words"), TRANSIENT, ids=lambda value: type(value).__name__)
def test_what_a_retry_may_mend(error: Exception, words: str) -> None:
    assert classify_error(error) == (words, False)


def test_what_was_to_be_done_is_said() -> None:
    words, permanent = classify_error(PermissionError(errno.EACCES, SIGNED), "written")
    assert words.startswith("cannot be written: access is denied")
    assert permanent


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (SIGNED, "https://media.example.org/boat.jpg?..."),
        ("s3://media/boat.jpg", "s3://media/boat.jpg"),
        (Path("/data/boat?.jpg"), "/data/boat?.jpg"),
        (Path("/data/bo\nat\x1b.jpg"), "/data/bo\\nat\\x1b.jpg"),
    ],
)
def test_an_error_names_the_file_on_one_line_and_without_a_signature(
    path: object, words: str
) -> None:
    error = file_error(path, FileNotFoundError(SIGNED))
    assert (str(error), error.permanent) == (f"{words} does not exist.", True)


def test_an_error_that_says_it_already_is_left_as_it_is() -> None:
    error = FileError("boat.jpg is empty.", permanent=True)
    assert file_error("other.jpg", error) is error
