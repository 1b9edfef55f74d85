"""Which files the API server reads for the view: only below folders that its administrator names.

A task says where its report and its backup are, and whoever writes a DAG decides what a task says.
On the API server lie Airflow's own settings and keys, so a task's word alone opens nothing there.
"""

from __future__ import annotations

from typing import BinaryIO, cast

from airflow.configuration import conf

from ipernity_provider.files.errors import FileError
from ipernity_provider.files.paths import require_inside
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.errors import Refused

SECTION = "ipernity"


class NotShown(Exception):
    """Something that is not shown; the text is one sentence for the reader."""


def view_roots() -> tuple[str, ...]:
    """Return the folders and URIs that may be read from; none by default."""
    named = conf.get(SECTION, "view_roots", fallback="") or ""
    return tuple(root.strip() for root in named.split(",") if root.strip())


def show_pictures() -> bool:
    """Return whether the view may ask the service for pictures of documents."""
    return bool(conf.getboolean(SECTION, "view_pictures", fallback=True))


def open_place(place: str) -> BinaryIO:
    """Open a file that a task has named.

    :raises NotShown: it lies outside the folders that may be read, or cannot be read from here.
    """
    roots = view_roots()
    if not roots:
        raise NotShown(
            "The API server reads no files: name their folder in [ipernity] view_roots of"
            " Airflow's configuration."
        )
    try:
        file = require_inside(as_path(place), roots)
        return cast("BinaryIO", file.open())
    except FileError as error:
        if "lies outside" in str(error):
            raise NotShown(
                "It lies outside the folders that the API server may read. They are named in"
                " [ipernity] view_roots of Airflow's configuration."
            ) from None
        raise NotShown(f"The API server cannot read it: {error}") from None
    except Refused as error:
        raise NotShown(
            f"The API server cannot read it: {str(error).removesuffix(' Nothing was sent.')}"
        ) from None
    except Exception as error:  # noqa: BLE001 - storages and connections raise what they like, and what they say may hold secrets
        raise NotShown(f"The API server cannot read it ({type(error).__name__}).") from None


def read_place(place: str, most: int) -> bytes:
    """Return the bytes of a file that a task has named.

    :raises NotShown: it is longer than ``most``, or cannot be read.
    """
    with open_place(place) as stream:
        try:
            data = stream.read(most + 1)
        except Exception as error:  # noqa: BLE001 - as above
            raise NotShown(f"The API server cannot read it ({type(error).__name__}).") from None
    if len(data) > most:
        raise NotShown(f"It is longer than {most >> 20} MiB, so it is not shown here.")
    return data
