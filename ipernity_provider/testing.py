"""A pytest fixture with a running sandbox, for the tests of your own DAGs.

pytest finds it without an import: the distribution registers this module as a plugin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.sandbox import RunningSandbox


@dataclass(frozen=True)
class IpernitySandbox:
    """A running sandbox, and what a test does with it.

    :param url: the root address.
    :param connection: an Airflow connection as JSON.
    :param credentials: the members ``api_key``, ``api_secret`` and ``token`` of the account.
    """

    url: str
    connection: str
    credentials: Mapping[str, str]

    def client(self, **options: Any) -> IpernityClient:
        """Return a client of the sandbox; close it, or use it as a context manager.

        :param options: other parameters of :class:`~ipernity_provider.api.client.IpernityClient`.
        """
        from ipernity_provider.api.client import IpernityClient

        return IpernityClient(**{**self.credentials, "base_url": self.url, **options})

    def change_settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings and return all; those that are not named stay.

        :raises ValueError: with the sandbox's own sentence, when a change is not possible.
        """
        return dict(self._call("PUT", "settings", changes))

    def reset(self) -> None:
        """Restore the first documents and the start-up settings."""
        self._call("POST", "reset", {})

    def ledger(self) -> list[dict[str, Any]]:
        """Return every accepted upload, the first one first."""
        return list(self.get("ledger"))

    def get(self, name: str) -> Any:
        """Return the answer of ``GET /_sandbox/<name>``: calls, ledger, settings or tickets."""
        return self._call("GET", name, None)

    def _call(self, verb: str, name: str, body: Any) -> Any:
        import requests

        session = requests.Session()
        session.trust_env = False  # a proxy of the environment cannot reach this machine
        with session:
            answer = session.request(verb, f"{self.url}/_sandbox/{name}", json=body, timeout=30)
        if not answer.ok:
            raise ValueError(answer.text)
        return answer.json()


@pytest.fixture(scope="session")
def ipernity_sandbox_settings() -> dict[str, Any]:
    """Return the start-up settings of the sandbox; override it for other ones."""
    return {"processing_seconds": 0.1}


@pytest.fixture(scope="session")
def ipernity_sandbox_server(ipernity_sandbox_settings: dict[str, Any]) -> Iterator[RunningSandbox]:
    """Run one sandbox for the test session."""
    from ipernity_provider.sandbox import running_sandbox

    with running_sandbox(settings=ipernity_sandbox_settings) as sandbox:
        yield sandbox


@pytest.fixture
def ipernity_sandbox(
    ipernity_sandbox_server: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> IpernitySandbox:
    """Return the sandbox as it starts; the connection ``ipernity_default`` leads to it."""
    server = ipernity_sandbox_server
    sandbox = IpernitySandbox(server.url, server.connection, server.credentials)
    sandbox.reset()
    monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", sandbox.connection)
    return sandbox
