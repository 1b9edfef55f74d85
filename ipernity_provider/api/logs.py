"""Keeps signatures and tokens out of the log lines of the libraries that we call."""

from __future__ import annotations

import logging
import re

# At DEBUG these write whole requests with their tokens and signatures.
_TELL_ALL = ("oauthlib", "requests_oauthlib")
# This one writes addresses; a call by GET has its parameters there, and so have the pages for authorizing.
_TELLS_ADDRESSES = "urllib3.connectionpool"

_SECRET_PARAMETERS = re.compile(r"\b(api_sig|auth_token|frob|oauth_\w+)=[^&\s\"]*")


def guard() -> None:
    """Raise the level of those that tell all, and clean the addresses of the other; may be called again."""
    for name in _TELL_ALL:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:  # whoever has set one wants to see all
            logger.setLevel(logging.INFO)
    logging.getLogger(_TELLS_ADDRESSES).addFilter(_without_secrets)


def _without_secrets(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(_cleaned(arg) if isinstance(arg, str) else arg for arg in record.args)
    return True


def _cleaned(text: str) -> str:
    return _SECRET_PARAMETERS.sub(r"\1=***", text)
