"""The service's methods: what each one requires, and which of them are not emulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Requirements:
    """What a method requires of its caller, as the service's own list of methods has it.

    :param verb: ``POST`` for a method that writes, ``GET`` for the one method that other clients
        could only GET.
    :param right: the level of the right ``doc`` that the token must carry.
    """

    token: bool = False
    sign: bool = False
    verb: Literal["any", "POST", "GET"] = "any"
    right: Literal["none", "read", "write", "delete"] = "none"


@dataclass(frozen=True)
class Method:
    """A method of the service that the sandbox has.

    :param not_applied: documented parameters that the sandbox does not apply. A call with one of
        them is refused: to ignore it would report a success that did not happen.
    """

    title: str
    requires: Requirements
    not_applied: tuple[str, ...] = ()


_ANYONE = Requirements()
_SIGNED = Requirements(sign=True)
_TOKEN = Requirements(token=True, sign=True)
_READ = Requirements(token=True, sign=True, right="read")
_WRITE_BY_ANY_VERB = Requirements(token=True, sign=True, right="write")
_WRITE = Requirements(token=True, sign=True, verb="POST", right="write")
_DELETE = Requirements(token=True, sign=True, verb="POST", right="delete")
_FLAGS = ("is_public", "is_family", "is_friend")
_PERMS = ("perm_comment", "perm_tag", "perm_tagme")

METHODS: Mapping[str, Method] = {
    "account.getQuota": Method("The account's limits", _WRITE_BY_ANY_VERB),
    "api.methods.get": Method("One method", Requirements(verb="GET")),
    "api.methods.getList": Method("All methods", _ANYONE),
    "auth.checkToken": Method("What a token allows", _TOKEN),
    "auth.getFrob": Method("Start an authorization", _SIGNED),
    "auth.getToken": Method("Exchange a frob", _SIGNED),
    "doc.checkMD5": Method("Find documents by the checksum of their files", _READ),
    "doc.delete": Method("Delete a document", _DELETE),
    "doc.get": Method("One document", _ANYONE),
    "doc.getList": Method("The documents of a user", _ANYONE),
    "doc.getMedias": Method("The files of a document", _ANYONE),
    "doc.set": Method("Change a document's texts", _WRITE, (*_FLAGS, *_PERMS)),
    "test.echo": Method("Return the parameters", _ANYONE),
    "test.hello": Method("Return a greeting", _ANYONE),
    "upload.checkTickets": Method("The state of uploads", _WRITE_BY_ANY_VERB),
    "upload.file": Method("A new document", _WRITE, ("album_id", "member_ids", "dir", *_PERMS)),
    "upload.replace": Method("Another file for a document", _WRITE),
    "user.get": Method("One user", _SIGNED, ("extra",)),
}

NOT_EMULATED = frozenset(
    {
        "album.docs.add",
        "doc.getContainers",
        "doc.search",
        "doc.setGeo",
        "doc.setLicense",
        "doc.setPerms",
        "doc.setSafety",
        "doc.tags.add",
        "doc.tags.edit",
        "doc.tags.getList",
        "doc.tags.remove",
        "soap",
        "tags.user.getList",
        "xmlrpc",
    }
)
"""Methods that the service documents and the sandbox does not have."""
