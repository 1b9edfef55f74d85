"""What users write to choose documents -> what the service is asked for."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any, get_args

from ipernity_provider.api.models import MediaClass
from ipernity_provider.hooks.parameters import ParameterError
from ipernity_provider.text import display

_NUMBER = re.compile(r"0*([1-9][0-9]{0,19})", re.ASCII)
_ALBUM_PAGE = re.compile(r"https?://\S+/album/0*([1-9][0-9]{0,19})(?:[/?#]\S*)?", re.ASCII)


def read_filters(*, album: object, text: object, since: object, media: object) -> dict[str, Any]:
    """Return the filters as :meth:`IpernityClient.get_documents` takes them; None: no such filter.

    :raises ParameterError: one of them is not valid.
    """
    if media is not None and media not in get_args(MediaClass):
        allowed = ", ".join(get_args(MediaClass))
        raise ParameterError(f"media is {_quote(media)}: give one of {allowed}.")
    if text is not None and not (isinstance(text, str) and text.strip()):
        raise ParameterError(f"text is {_quote(text)}: give words to search for.")
    return {
        "album_id": None if album is None else read_album_id(album),
        "text": text,
        "posted_since": None if since is None else read_time(since),
        "media": media,
    }


def read_album_id(given: object) -> str:
    """Return the number of an album that is given as a number or as the address of its page.

    :raises ParameterError: it is neither.
    """
    written = str(given).strip() if isinstance(given, str | int) else ""
    found = _NUMBER.fullmatch(written) or _ALBUM_PAGE.fullmatch(written)
    if not found or isinstance(given, bool):
        raise ParameterError(
            f"album is {_quote(given)}: give an album's number or the address of its page."
        )
    return found[1]


def read_time(given: object) -> int:
    """Return a time as unix seconds; without a time zone it is UTC.

    :raises ParameterError: it is not a time.
    """
    try:
        if isinstance(given, int) and not isinstance(given, bool):
            return _require_positive(given)
        moment = datetime.fromisoformat(given.strip()) if isinstance(given, str) else given
        if isinstance(moment, date) and not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        if isinstance(moment, datetime):
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return _require_positive(int(aware.timestamp()))
    except (ValueError, OverflowError):
        pass
    raise ParameterError(
        f"since is {_quote(given)}: give a date such as 2026-01-31, a date with a time, or unix"
        " seconds."
    )


def _require_positive(seconds: int) -> int:
    if seconds < 0:
        raise ValueError
    return seconds


def _quote(value: object) -> str:
    return repr(display(value)[:60]) if isinstance(value, str) else repr(value)[:60]
