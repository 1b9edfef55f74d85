"""Small pictures: of a backup, and of what a document's page shows now.

Each is drawn again as a JPEG of a few hundred pixels, so what leaves the API server are pixels:
neither another kind of file nor where a photo was taken.
"""

from __future__ import annotations

import io
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ipernity_provider.api.errors import IpernityError
from ipernity_provider.plugins.places import NotShown, read_place

if TYPE_CHECKING:
    from ipernity_provider.api.client import IpernityClient

EDGE = 640
MOST_BYTES = 48 << 20
MOST_PIXELS = 120_000_000
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "MPO")
_FETCH_SECONDS = 10.0
_KEPT_SECONDS = 60.0
_KEPT = 64
_PATIENCE_SECONDS = 8.0
#: A picture of 100 megapixels takes some 400 MB for a moment, and a slow service a thread.
_places = threading.Semaphore(2)


def backup_picture(place: str) -> bytes:
    """Return a small picture of a backup.

    :raises NotShown: it cannot be read from here, or is not a picture.
    """
    with _in_turn():
        return shrink(read_place(place, MOST_BYTES))


@contextmanager
def _in_turn() -> Iterator[None]:
    """Let two pictures be made at a time.

    :raises NotShown: there are too many before this one.
    """
    if not _places.acquire(timeout=_PATIENCE_SECONDS):
        raise NotShown("Too many pictures are asked for right now. Load the page again.")
    try:
        yield
    finally:
        _places.release()


def shrink(data: bytes) -> bytes:
    """Return a picture as a JPEG with edges of at most :data:`EDGE` pixels, without metadata.

    :raises NotShown: it is not a picture that can be shown.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise NotShown(
            "Pillow is not installed on the API server: pip install"
            " 'airflow-provider-ipernity[view]'."
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked below
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise NotShown("It has too many pixels to be shown here.")
                picture.draft("RGB", (EDGE, EDGE))
                small: Any = ImageOps.exif_transpose(picture)
                small.thumbnail((EDGE, EDGE))
        if small.mode not in {"RGB", "L"}:
            small = small.convert("RGBA")
            ground = Image.new("RGB", small.size, "white")
            ground.paste(small, mask=small.getchannel("A"))
            small = ground
        drawn = io.BytesIO()
        small.save(drawn, "JPEG", quality=85, exif=b"")
        return drawn.getvalue()
    except (NotShown, Image.DecompressionBombError):
        raise NotShown("It has too many pixels to be shown here.") from None
    except Exception:  # noqa: BLE001 - what a broken picture makes Pillow raise is not documented
        raise NotShown("It is not a picture that can be shown.") from None


class PagePictures:
    """What documents' pages show now, kept for a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[float, bytes | str]] = {}

    def get(self, conn_id: str, doc_id: str) -> bytes:
        """Return a small picture of a document.

        :raises NotShown: the connection is not known to the API server, the service does not
            answer, or the document has no picture.
        """
        key, now = (conn_id, doc_id), time.monotonic()
        with self._lock:
            until, found = self._kept.get(key, (0.0, ""))
        if until <= now:
            with _in_turn():
                try:
                    found = _fetch(conn_id, doc_id)
                except NotShown as error:
                    found = str(error)
            with self._lock:
                self._kept[key] = (now + _KEPT_SECONDS, found)
                while len(self._kept) > _KEPT:
                    self._kept.pop(next(iter(self._kept)))
        if isinstance(found, str):
            raise NotShown(found)
        return found


def _fetch(conn_id: str, doc_id: str) -> bytes:
    try:
        with _client(conn_id) as client:
            url = _best_address(client, doc_id)
            if url is None:
                raise NotShown(f"The service shows no picture of document {doc_id}.")
            blocks = client.download(url, max_bytes=MOST_BYTES, total_timeout=_FETCH_SECONDS)
            return shrink(b"".join(blocks))
    except NotShown:
        raise
    except IpernityError as error:
        raise NotShown(f"There is no picture of document {doc_id}: {error}") from None
    except Exception as error:  # noqa: BLE001 - secrets backends raise what they like, and what they say may hold secrets
        raise NotShown(
            f"The connection {conn_id} cannot be used on the API server ({type(error).__name__})."
        ) from None


def _client(conn_id: str) -> IpernityClient:
    """Return a client that tries each call once, with the connection as the API server knows it.

    :raises Exception: whatever a secrets backend raises.
    """
    from airflow.models.connection import Connection
    from airflow.sdk.log import mask_secret

    from ipernity_provider.hooks.connection import ConnectionSettings

    connection = Connection.get_connection_from_secrets(conn_id)
    if connection.conn_type != "ipernity":
        raise NotShown(f"The connection {conn_id} is not one to ipernity.")
    settings = ConnectionSettings.of(connection, connection.extra_dejson)
    for secret in settings.secrets:
        mask_secret(secret)
    return settings.brief_client()


def _best_address(client: IpernityClient, doc_id: str) -> str | None:
    """Return the address of the smallest rendition that fills the view, or of the original."""
    from ipernity_provider.api.models import Document, Media, Thumbnail
    from ipernity_provider.api.parsing import parse, parse_all

    method = "doc.get"
    reply = client.call(method, doc_id=doc_id)
    thumbs = parse_all(Thumbnail, reply, method, "doc.thumbs.thumb")
    by_width = sorted((thumb.width, thumb.url) for thumb in thumbs if thumb.url)
    if by_width:
        return next((url for width, url in by_width if width >= EDGE), by_width[-1][1])
    originals = parse_all(Media, reply, method, "doc.original")
    is_photo = parse(Document, reply, method, "doc").media == "photo"
    return originals[0].url if originals and is_photo else None
