"""A document's number, however a person or a program writes it.

>>> read_doc_id(" 0005412 ")
'5412'
>>> read_doc_id("https://www.ipernity.com/doc/1234/5412/in/album/99?lg=en")
'5412'
"""

from __future__ import annotations

import re
import reprlib
from numbers import Integral
from urllib.parse import urlsplit

from ipernity_provider.text import display

_DIGITS = 20
#: Floats hold no whole numbers beyond this one exactly.
_EXACT_FLOATS = 2**53
#: What holds numbers as floats writes ``5412.0``. More zeros are not accepted: ``5.000`` is 5000 in
#: many countries.
_NUMBER = re.compile(r"0*([1-9][0-9]*)(?:\.0)?", re.ASCII)
_SERVICE = "ipernity.com"
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


def read_doc_id(given: object, base_url: str | None = None) -> str:
    """Return the number of the document that is meant, in ASCII digits without leading zeros.

    :param given: the number, as text or as a number, or the address of the document's page
        (``https://www.ipernity.com/doc/<user>/<number>``, whatever follows).
    :param base_url: the service's address in the connection; None for the usual one. Pages there
        are accepted, too.
    :raises ValueError: it is neither. The text continues a sentence that begins with the name of
        the value, such as ``is 'boat', which is not a document's number such as 5412``.
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        raise ValueError("is missing")
    text = given.strip() if isinstance(given, str) else _digits_of(given)
    if "/" in text:
        return _number_in_address(text, base_url)
    number = _NUMBER.fullmatch(text)
    if not number or len(number[1]) > _DIGITS:
        raise ValueError(f"is {_quoted(given)}, which is not a document's number such as 5412")
    return number[1]


def _digits_of(given: object) -> str:
    """Return a whole number above 0 as text.

    The text is empty for anything else, and for a float so large that it has lost digits.
    """
    if isinstance(given, bool) or not isinstance(given, Integral | float):
        return ""
    number = given if isinstance(given, float) else int(given)
    limit = _EXACT_FLOATS if isinstance(given, float) else 10**_DIGITS
    return str(int(number)) if 0 < number < limit and number == int(number) else ""


def _number_in_address(text: str, base_url: str | None) -> str:
    try:
        scheme, site, parts = _split(text)
        known = base_url is not None and site == _split(base_url)[1]
    except ValueError:
        raise ValueError(f"is {_quoted(text)}, which is not an address") from None
    host, _ = site
    known = known or host == _SERVICE or host.endswith(f".{_SERVICE}")
    if scheme not in _PORTS or not known:
        raise ValueError(f"is {_quoted(text)}, an address of another site than {_SERVICE}")
    # An album's address has a number at its end, too: /doc/<user>/album/<number>.
    number = parts[2] if len(parts) > 2 and parts[0] == "doc" else ""
    if not (_NUMBER.fullmatch(number) and number.isdigit() and len(number) <= _DIGITS):
        raise ValueError(
            f"is {_quoted(text)}, which is not a document's page: that is /doc/<user>/<number>"
        )
    return number.lstrip("0")


def _split(address: str) -> tuple[str, tuple[str, int | None], list[str]]:
    """Return scheme, site (host and port) and path parts of an address.

    The address may lack its scheme.
    """
    if (
        not address.isprintable() or " " in address
    ):  # the library leaves line breaks out, and digits join
        raise ValueError
    url = urlsplit(address if "://" in address else f"https://{address}")
    host = (url.hostname or "").rstrip(".")
    site = "localhost" if host in _THIS_MACHINE else host, url.port or _PORTS.get(url.scheme)
    return url.scheme, site, [part for part in url.path.split("/") if part]


def _quoted(given: object) -> str:
    """Return a value for a sentence: cut short, and an address without its query."""
    if isinstance(given, int) and abs(given) >= 10**_DIGITS:
        return f"a number of more than {_DIGITS} digits"  # Python refuses to write the longest
    return _brief.repr(display(given) if isinstance(given, str) else given)
