"""The documents that the sandbox starts with. Their files are made once and never changed."""

from __future__ import annotations

import hashlib
import io
import math
import struct
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import repeat
from pathlib import Path

from PIL import Image, ImageDraw

from ipernity_provider.sandbox.containers import Album, Group
from ipernity_provider.sandbox.credentials import ACCOUNT, OTHER_USER
from ipernity_provider.sandbox.documents import PRIVATE, PUBLIC, Document, Note, StoredFile, User
from ipernity_provider.sandbox.media import extension, make_thumbnails, probe, with_thumbnails
from ipernity_provider.sandbox.pictures import PICTURES, sunrise

POSTED_AT = 1699990000
FILM = "film.mp4"


@dataclass(frozen=True)
class Seed:
    """One document of the start; its file name determines its content."""

    doc_id: str
    title: str
    filename: str
    owner: User = ACCOUNT
    share: int = PUBLIC
    description: str = ""
    keywords: tuple[str, ...] = ()
    place: tuple[float, float] | None = None


SEEDS = (
    Seed(
        "5412",
        "A boat",
        "boat.jpg",
        share=PRIVATE,
        keywords=("boat", "sea"),
        place=(47.65, -2.76),
    ),
    Seed("5413", "Blue mountains", "mountains.jpg", description="Four ridges, one evening."),
    Seed("5414", "The meadow behind the house", "meadow.png", keywords=("spring",)),
    Seed("5415", "Harbour at night", "night_city.jpg", description="Seen from the other side."),
    Seed("5416", "Timetable", "timetable.pdf"),
    Seed("5417", "A tuning fork", "tuning_fork.wav"),
    Seed("5418", "Sunrise", FILM, description="Two seconds of film."),
    Seed("7001", "The newsroom", "newsroom.jpg", owner=OTHER_USER),
    Seed("7002", "A private letter", "letter.png", owner=OTHER_USER, share=PRIVATE),
)


def make_seed_files(folder: Path) -> dict[str, StoredFile]:
    """Write the seeds' files and thumbnails into ``folder``; return them by document id."""
    with ThreadPoolExecutor() as pool:
        made = pool.map(_make_file, SEEDS, repeat(folder))
        return {seed.doc_id: file for seed, file in zip(SEEDS, made, strict=True)}


def seeded_documents(files: dict[str, StoredFile]) -> dict[str, Document]:
    """Return the documents as they are at the start, each with its first file."""
    documents = {}
    for number, seed in enumerate(SEEDS):
        lat, lng = seed.place or (None, None)
        documents[seed.doc_id] = Document(
            seed.doc_id,
            seed.owner,
            files[seed.doc_id],
            POSTED_AT - number * 3600,
            title=seed.title,
            description=seed.description,
            created="2023-11-14 10:00:00",
            share=seed.share,
            lat=lat,
            lng=lng,
        )
        documents[seed.doc_id].add_keywords(seed.keywords, seed.owner, POSTED_AT)
    boat = documents["5412"]
    boat.add_members([OTHER_USER], ACCOUNT, POSTED_AT)
    boat.notes.append(Note("501", ACCOUNT, 60, 40, 120, 80, "The red sail"))
    return documents


def seeded_albums() -> dict[str, Album]:
    """Return the albums as they are at the start."""
    albums = (
        Album("201", ACCOUNT, "At the sea", "Boats and harbours.", "5412", ["5412", "5415"]),
        Album("202", ACCOUNT, "Landscapes", cover_id="5413", doc_ids=["5413", "5412", "5414"]),
        Album("203", OTHER_USER, "My work", cover_id="7001", doc_ids=["7001", "7002"]),
    )
    return {album.album_id: album for album in albums}


def seeded_groups() -> dict[str, Group]:
    """Return the groups as they are at the start."""
    groups = (Group("401", ["7001", "5412"]), Group("402", ["5413"]))
    return {group.group_id: group for group in groups}


def _make_file(seed: Seed, folder: Path) -> StoredFile:
    content = _content(seed.filename)
    path = folder / seed.filename
    path.write_bytes(content)
    found = probe(path, seed.filename)
    file = StoredFile(
        path,
        seed.filename,
        hashlib.md5(content, usedforsecurity=False).hexdigest(),
        len(content),
        found.media,
        extension(seed.filename),
        found.w,
        found.h,
        seconds=found.seconds,
    )
    if seed.filename == FILM:
        file = replace(file, w=480, h=320, seconds=2)
    thumbnails = folder / f"{seed.doc_id}.thumbnails"
    preview = _preview(seed.filename)
    if preview is None:
        return with_thumbnails(file, thumbnails)
    return replace(file, thumbnails=make_thumbnails(preview, max(preview.size), thumbnails))


def _preview(filename: str) -> Image.Image | None:
    """Return what the thumbnails of a page or film show: Pillow draws them but cannot read them."""
    if filename.endswith(".pdf"):
        return _page("Timetable")
    return sunrise() if filename.endswith(".mp4") else None


def _content(filename: str) -> bytes:
    stem, ext = Path(filename).stem, Path(filename).suffix
    if ext == ".pdf":
        return _save(_page("Timetable"), "PDF")
    if ext == ".wav":
        return _tone()
    if ext == ".mp4":
        film = files("ipernity_provider.sandbox").joinpath(filename)  # by scripts/make_film.py
        return film.read_bytes()
    picture = PICTURES[stem]() if stem in PICTURES else _page("Dear Clark,")
    return _save(picture, "JPEG" if ext == ".jpg" else "PNG")


def _save(picture: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    if image_format == "PDF":  # Pillow would write the present time into it
        day = time.gmtime(POSTED_AT)
        picture.save(buffer, image_format, creationDate=day, modDate=day)
    elif image_format == "PNG":
        picture.save(buffer, image_format, compress_level=1)
    else:
        picture.save(buffer, image_format, quality=88)
    return buffer.getvalue()


def _page(heading: str) -> Image.Image:
    page = Image.new("RGB", (620, 877), (252, 251, 247))
    draw = ImageDraw.Draw(page)
    draw.text((60, 60), heading, fill=(40, 40, 40), font_size=36)
    for line in range(18):
        top, right = 140 + line * 36, 400 + line * 53 % 150
        draw.rectangle((60, top, right, top + 8), fill=(206, 206, 200))
    return page


def _tone() -> bytes:
    """Return two seconds of the note A, dying away."""
    rate = 8000
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        swings = (
            int(20_000 * math.exp(-2.5 * n / rate) * math.sin(math.tau * 440 * n / rate))
            for n in range(2 * rate)
        )
        sound.writeframes(b"".join(struct.pack("<h", swing) for swing in swings))
    return buffer.getvalue()
