"""The service's own signature, ``api_sig``.

All parameters but ``api_sig`` and ``file``, sorted by name, each name directly followed by its value as it was
before URL encoding; then the method's name (nothing for an authorization link) and the secret; MD5 of it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from ipernity_provider.sandbox.errors import ApiError


def native_signature(params: Mapping[str, str], secret: str, method: str = "") -> str:
    signed = "".join(f"{name}{params[name]}" for name in sorted(params) if name not in ("api_sig", "file"))
    return hashlib.md5(f"{signed}{method}{secret}".encode()).hexdigest()


def verify_native(params: Mapping[str, str], secret: str, method: str = "") -> None:
    """:raises ApiError: 105 when ``api_sig`` does not fit the other parameters."""
    expected = native_signature(params, secret, method)
    if not hmac.compare_digest(expected.encode(), params.get("api_sig", "").encode()):
        raise ApiError(105)
