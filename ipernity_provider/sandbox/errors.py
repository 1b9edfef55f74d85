"""The service's error numbers and their short titles."""

from __future__ import annotations

from collections.abc import Mapping

NOT_EMULATED = 900
"""The sandbox's own number, for what it cannot do or read. The service's numbers end at 503."""

COMMON_TITLES: Mapping[int, str] = {
    100: "API Key is missing",
    101: "API Key is invalid",
    102: "Invalid format",
    103: "Method not found",
    104: "Signature missing",
    105: "Signature is invalid",
    106: "Token missing",
    107: "Token invalid",
    108: "Account closed",
    109: "Action blocked",
    110: "Insufficient permissions",
    111: "IP not allowed",
    112: "Application Quota Error",
    113: "Client IP Quota Error",
    120: "HTTP POST required",
    121: "Invalid SOAP envelope",
    122: "Invalid XML-RPC envelope",
    130: "OAuth protocol version unsupported",
    131: "OAuth parameters are missing",
    132: "OAuth Clock skew",
    133: "OAuth Nonce is invalid",
    134: "OAuth Timestamp is invalid",
    135: "OAuth Signature method unsupported",
    500: "Service error",
    501: "Maintenance mode",
    503: "Service unavailable",
    NOT_EMULATED: "ipernity sandbox: what the service does with this value is not known",
}

QUOTA_OF_UPLOAD_FILE = 7
"""The sandbox's choice: the number of ``upload.file`` for a used-up volume is not known."""

_NO_DOCUMENT = {1: "Document not found"}
_NO_USER = {1: "User invalid"}
_NO_ALBUM = {1: "Album not found"}
_NO_GROUP = {1: "Group not found"}
_TAGS = {**_NO_DOCUMENT, 2: "Parameter missing", 3: "Maximum reached"}

METHOD_TITLES: Mapping[str, Mapping[int, str]] = {
    "upload.replace": {
        1: "File is missing or empty",
        2: "File size exceeded limits",
        3: "User exceeded upload limits",
        4: "Document not found",
        5: "File media type differs from the existing file",
        6: "PRO account feature",
    },
    "upload.file": {
        1: "File is missing or empty",
        2: "File size exceeded limits",
        3: "File refused",  # the real title is not readable in any stored copy of the page
        QUOTA_OF_UPLOAD_FILE: "User exceeded upload limits",
    },
    "upload.checkTickets": {1: "Tickets not found", 2: "Too many tickets"},
    "doc.get": _NO_DOCUMENT,
    "doc.getContainers": _NO_DOCUMENT,
    "doc.getMedias": _NO_DOCUMENT,
    "doc.getList": _NO_USER,
    "doc.checkMD5": {**_NO_DOCUMENT, 2: "Too many checksums"},
    "doc.delete": _NO_DOCUMENT,
    "doc.notes.add": _NO_DOCUMENT,
    "doc.notes.delete": {1: "Note not found"},
    "doc.notes.edit": {1: "Note not found"},
    "doc.search": _NO_USER,
    "doc.set": {**_NO_DOCUMENT, 2: "Parameter missing", 3: "Invalid argument"},
    "doc.setGeo": _NO_DOCUMENT,
    "doc.setLicense": _NO_DOCUMENT,
    "doc.setPerms": {**_NO_DOCUMENT, 2: "Invalid argument"},
    "doc.setSafety": _NO_DOCUMENT,
    "doc.tags.add": _TAGS,
    "doc.tags.edit": _TAGS,
    "doc.tags.getList": _NO_DOCUMENT,
    "doc.tags.remove": _TAGS,
    "album.delete": _NO_ALBUM,
    "album.docs.add": _NO_ALBUM,
    "album.docs.getList": _NO_ALBUM,
    "album.docs.remove": _NO_ALBUM,
    "album.edit": _NO_ALBUM,
    "album.get": _NO_ALBUM,
    "album.getList": _NO_USER,
    "group.docs.add": _NO_GROUP,
    "group.docs.getList": _NO_GROUP,
    "group.docs.remove": _NO_GROUP,
    "group.getList": _NO_USER,
    "auth.getToken": {1: "Frob missing", 2: "Frob invalid"},
    "user.get": {1: "User not found"},
    "api.methods.get": {1: "Method not found"},
}


class ApiError(Exception):
    """An error of the service: it goes out in the body of the reply, with HTTP 200.

    :param title: takes the place of the documented title.
    :param signed: for a wrong signature, the string that should have been signed, without secrets.
    """

    def __init__(
        self, code: int, method: str = "", title: str | None = None, signed: str | None = None
    ) -> None:
        self.code, self.signed = code, signed
        titles = {**COMMON_TITLES, **METHOD_TITLES.get(method, {})}
        self.title = titles.get(code, "Unknown error") if title is None else title
        super().__init__(f"{code} {self.title}")


def not_emulated(sentence: str) -> ApiError:
    """Return the error for something that the service documents and the sandbox does not do."""
    return ApiError(NOT_EMULATED, title=f"ipernity sandbox: {sentence}")
