"""What runs each method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.methods import (
    account,
    albums,
    auth,
    doc,
    groups,
    listing,
    notes,
    reflection,
    search,
    tags,
    upload,
    users,
)
from ipernity_provider.sandbox.reply import Payload

Handler: TypeAlias = Callable[[AuthorizedCall], Awaitable[Payload]]

HANDLERS: Mapping[str, Handler] = {
    "account.getQuota": account.get_quota,
    "album.create": albums.create,
    "album.delete": albums.delete,
    "album.docs.add": albums.add,
    "album.docs.getList": albums.get_documents,
    "album.docs.remove": albums.remove,
    "album.edit": albums.edit,
    "album.get": albums.get,
    "album.getList": albums.get_list,
    "api.methods.get": reflection.get_method,
    "api.methods.getList": reflection.get_methods,
    "auth.checkToken": auth.check_token,
    "auth.getFrob": auth.get_frob,
    "auth.getToken": auth.get_token,
    "doc.checkMD5": listing.check_md5,
    "doc.delete": doc.delete,
    "doc.get": doc.get,
    "doc.getContainers": doc.get_containers,
    "doc.getList": listing.get_list,
    "doc.getMedias": doc.get_medias,
    "doc.notes.add": notes.add,
    "doc.notes.delete": notes.delete,
    "doc.notes.edit": notes.edit,
    "doc.search": search.search,
    "doc.set": doc.set_fields,
    "doc.setGeo": doc.set_fields,
    "doc.setLicense": doc.set_fields,
    "doc.setPerms": doc.set_fields,
    "doc.setSafety": doc.set_fields,
    "doc.tags.add": tags.add,
    "doc.tags.edit": tags.edit,
    "doc.tags.getList": tags.get_list,
    "doc.tags.remove": tags.remove,
    "explore.docs.getPopular": search.get_popular,
    "group.docs.add": groups.add,
    "group.docs.getList": groups.get_documents,
    "group.docs.remove": groups.remove,
    "group.getList": groups.get_list,
    "test.echo": reflection.echo,
    "test.hello": reflection.hello,
    "upload.checkTickets": upload.check_tickets,
    "upload.file": upload.upload_file,
    "upload.replace": upload.replace,
    "user.get": users.get,
}
"""The methods of :data:`PARAMETERS`."""
