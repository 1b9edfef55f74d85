"""The service's own signature, ``api_sig``.

All parameters but ``api_sig`` and ``file`` are sorted by name, and each name is directly followed
by its value as it was before URL encoding. The method's name (nothing for an authorization link)
and the secret follow. The signature is the MD5 of this text.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.request_log import masked


def api_sig(params: Mapping[str, str], secret: str, method: str = "") -> str:
    """Return the signature of these parameters, in hexadecimal digits."""
    signed = signed_text(params, secret, method).encode()
    return hashlib.md5(signed, usedforsecurity=False).hexdigest()


def signed_text(params: Mapping[str, str], secret: str, method: str) -> str:
    """Return the string that is signed."""
    names = sorted(name for name in params if name not in ("api_sig", "file"))
    return "".join(f"{name}{params[name]}" for name in names) + method + secret


def verify_api_sig(params: Mapping[str, str], secret: str, method: str = "") -> None:
    """Check the parameter ``api_sig``.

    :raises ApiError: 105 when it is not the signature of the other parameters.
    """
    expected = api_sig(params, secret, method)
    if not hmac.compare_digest(expected.encode(), params.get("api_sig", "").encode()):
        shown = {name: masked(name, value) for name, value in params.items()}
        raise ApiError(105, signed=signed_text(shown, "<secret>", method))
