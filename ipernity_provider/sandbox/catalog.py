"""The service's 102 methods, as its own list of methods describes them.

Which of them the sandbox has, and with which parameters, is in :mod:`.parameters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Requirements:
    """What a method requires of its caller.

    :param verb: ``POST`` for a method that writes, ``GET`` for the one method that other clients
        could only GET.
    :param area: what the right of the token is about; empty when none is required.
    :param level: the level of that right. A method that works without a token requires it for
        private items only.
    :param safety: whether the list of methods marks it with ``safety``; its meaning is not known.
    """

    token: bool = False
    sign: bool = False
    verb: Literal["any", "POST", "GET"] = "any"
    area: str = ""
    level: str = "none"
    safety: bool = False


@dataclass(frozen=True)
class Method:
    """A method of the service; the title is in the sandbox's own words."""

    title: str
    requires: Requirements


FORMATS: Mapping[str, str] = {
    "json": "the default: an array of PHP as JSON, without blanks, sent as `text/plain`",
    "xml": "root element `api`; single values are attributes",
    "php": "the same array as JSON, in PHP's own serialized form",
}
"""The formats of replies."""

# name, what it requires (post: POST, token and signature; token: both of these), right, title
_TABLE = """
account.getQuota         token        doc:write     The account's limits
album.create             post         doc:write     A new album
album.delete             post         doc:delete    Delete an album
album.docs.add           post         doc:write     Put documents into an album
album.docs.getContext    -,safety     -             A document's neighbours in an album
album.docs.getList       -,safety     -             The documents of an album
album.docs.remove        post         doc:write     Take documents out of an album
album.docs.setList       post         doc:write     Replace an album's documents and cover
album.edit               post         doc:write     Change an album's texts and cover
album.get                -            doc:read      One album
album.getFaves           -            doc:read      Who marked an album as a favourite
album.getList            -,safety     -             The albums of a user
album.getVisitors        token        doc:read      An album's latest visitors
album.orderList          post         doc:write     Change the order of the albums
album.setPerms           post         doc:write     Change who sees an album
api.methods.get          get          -             One method
api.methods.getList      -            -             All methods
auth.checkToken          token        -             What a token allows
auth.getFrob             sign         -             Start an authorization
auth.getToken            sign         -             Exchange a frob
doc.albums.add           post         doc:write     Put a document into albums
doc.checkMD5             token        doc:read      Find documents by the checksum of their files
doc.comments.add         post         doc:write     Comment on a document
doc.comments.delete      post         doc:write     Delete a comment on a document
doc.comments.edit        post         doc:write     Change a comment on a document
doc.comments.get         -            doc:read      One comment on a document
doc.comments.getList     -            doc:read      The comments on a document
doc.comments.reply       post         doc:write     Reply to a comment on a document
doc.delete               post         doc:delete    Delete a document
doc.get                  -            doc:read      One document
doc.getContainers        -            doc:read      The albums and groups of a document
doc.getContext           -            doc:read      A document's neighbours
doc.getExif              -            doc:read      What a file says about itself
doc.getFaves             -            doc:read      Who marked a document as a favourite
doc.getList              -,safety     -             The documents of a user
doc.getMedias            -            doc:read      The files of a document
doc.getPerms             token        doc:read      Who sees, comments and tags a document
doc.getVisitors          token        doc:read      A document's latest visitors
doc.notes.add            post         doc:write     A new note on a photo
doc.notes.delete         post         doc:write     Delete a note on a photo
doc.notes.edit           post         doc:write     Change a note on a photo
doc.search               -,safety     doc:read      Search documents
doc.set                  post,safety  doc:write     Change a document
doc.setGeo               post         doc:write     Change a document's position
doc.setLicense           post         doc:write     Change a document's licence
doc.setPerms             post         doc:write     Change who sees, comments and tags a document
doc.setSafety            post         doc:write     Change for whom a document is safe
doc.tags.add             post         doc:write     Tag a document
doc.tags.edit            post         doc:write     Replace a document's tags
doc.tags.getList         -            doc:read      The tags of a document
doc.tags.remove          post         doc:write     Remove tags from a document
explore.docs.getPopular  -            doc:read      The week's most popular documents
explore.docs.getRecent   -            doc:read      The latest documents of all users
explore.docs.homepage    -            doc:read      The documents of the homepage
explore.groups.getRandom -            -             Some groups
faves.albums.add         post         doc:write     Mark an album as a favourite
faves.albums.getList     -            doc:read      A user's favourite albums
faves.albums.remove      post         doc:write     Unmark an album as a favourite
faves.docs.add           post         doc:write     Mark a document as a favourite
faves.docs.getList       -,safety     doc:read      A user's favourite documents
faves.docs.remove        post         doc:write     Unmark a document as a favourite
folder.albums.add        post         doc:write     Put albums into a folder
folder.albums.getList    -,safety     -             The albums of a folder
folder.albums.remove     post         doc:write     Take albums out of a folder
folder.create            post         doc:write     A new folder
folder.delete            post         doc:delete    Delete a folder
folder.edit              post         doc:write     Change a folder
folder.get               -            doc:read      One folder
folder.getList           -            -             The folders of a user
folder.orderList         post         doc:write     Change the order of the folders
group.docs.add           post         doc:write     Put documents into a group
group.docs.getContext    -            doc:read      A document's neighbours in a group
group.docs.getList       -,safety     doc:read      The documents of a group
group.docs.remove        post         doc:write     Take documents out of a group
group.get                -            -             One group
group.getList            -            -             The groups of a user
group.search             -            -             Search groups
network.autocomplete     token        network:read  Members by the first letters of a name
network.docs.getRecent   token        -             The latest documents of the network
network.getList          -            network:read  The network of a user
post.comments.add        post         post:write    Comment on a post
post.comments.delete     post         post:write    Delete a comment on a post
post.comments.edit       post         post:write    Change a comment on a post
post.comments.get        -            post:read     One comment on a post
post.comments.getList    -            post:read     The comments on a post
post.comments.reply      post         post:write    Reply to a comment on a post
post.get                 -            blog:read     One post
post.getContext          -            post:read     A post's neighbours
post.getFaves            -            post:read     Who marked a post as a favourite
post.getList             -,safety     -             The posts of a user
post.getVisitors         token        post:read     A post's latest visitors
post.search              -,safety     post:read     Search posts
post.set                 post,safety  blog:write    Change a post
tags.docs.getList        -,safety     doc:read      The documents with a tag
tags.user.getList        -            -             The tags of a user
tags.user.getPopular     -            -             A user's most frequent tags
test.echo                -            -             Return the parameters
test.hello               -            -             Return a greeting
upload.checkTickets      token        doc:write     The state of uploads
upload.file              post,safety  doc:write     A new document
upload.replace           post         doc:write     Another file for a document
user.get                 sign         -             One user
"""


def _method(line: str) -> tuple[str, Method]:
    name, needs, right, title = line.split(maxsplit=3)
    need, _, safety = needs.partition(",")
    area, _, level = right.partition(":")
    requires = Requirements(
        token=need in ("post", "token"),
        sign=need in ("post", "token", "sign"),
        verb="POST" if need == "post" else "GET" if need == "get" else "any",
        area=area if level else "",
        level=level or "none",
        safety=bool(safety),
    )
    return name, Method(title, requires)


METHODS: Mapping[str, Method] = dict(map(_method, _TABLE.strip().splitlines()))

SERVICES: Mapping[str, str] = {
    "album.getVisitors": "doc",
    "api.methods.get": "api.method",
    "api.methods.getList": "api.method",
    "group.get": "doc",
    "network.docs.getRecent": "doc",
    "post.getVisitors": "doc",
}
"""The service that a method is listed under, where it is not the first part of its name."""

ANSWERS_103 = frozenset({"doc.albums.add"})
"""Listed, but another client was answered that there is no such method."""

ENVELOPES = frozenset({"soap", "xmlrpc"})
"""Other forms of request, which name the method in their body."""
