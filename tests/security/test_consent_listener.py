"""A web page at a developer's machine cannot end a consent that waits at the terminal."""

from __future__ import annotations

import pytest
import requests

from ipernity_provider.cli.loopback import LoopbackCallback


@pytest.mark.parametrize(
    "query", ["", "?oauth_token=", "?oauth_token=another", "?oauth_token=expected1", "?x=expected"]
)
@pytest.mark.parametrize("expected", ["expected", ""], ids=["asked", "not yet asked"])
def test_the_listener_takes_the_token_of_this_consent_alone(expected: str, query: str) -> None:
    with LoopbackCallback() as listener:
        listener.request_token = expected
        assert listener.server_address[0] == "127.0.0.1"
        answer = requests.get(f"{listener.url}{query}", timeout=10)
        assert answer.status_code == 404
        assert not listener.has_returned.is_set()
        if expected:
            assert requests.get(f"{listener.url}?oauth_token=expected", timeout=10).ok
            assert listener.has_returned.wait(10)  # set once the page is written
