"""Keeps signatures and tokens out of the log lines of the libraries in use."""

from __future__ import annotations

import logging
import re

from ipernity_provider.text import clean_text

# At DEBUG these write whole requests with their tokens and signatures.
_LOGS_REQUESTS = ("oauthlib", "requests_oauthlib")
# These write addresses; a call by GET has its parameters there, and so have the pages for
# authorizing. The second one writes the headers that it cannot parse, too, whatever is in them.
_LOG_ADDRESSES = ("urllib3.connectionpool", "urllib3.connection")

_SECRET_PARAMETERS = re.compile(r"\b(api_key|api_sig|auth_token|frob|oauth_\w+)=[^&\s\"]*")


def install_log_redaction() -> None:
    """Silence the DEBUG logs of the OAuth libraries and redact secrets in urllib3's logs.

    It may be called more than once.
    """
    for name in _LOGS_REQUESTS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:  # whoever has set one wants to see all
            logger.setLevel(logging.INFO)
    for name in _LOG_ADDRESSES:
        logging.getLogger(name).addFilter(_redact)


def _redact(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            _redacted(str(arg)) if isinstance(arg, str | Exception) else arg for arg in record.args
        )
    record.exc_info = None
    return True


def _redacted(text: str) -> str:
    return clean_text(_SECRET_PARAMETERS.sub(r"\1=***", text))
