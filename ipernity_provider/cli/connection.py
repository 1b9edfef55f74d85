"""The Airflow connection that an authorization leads to, and the ways to print it."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ipernity_provider.cli.service import Application, Service, UserToken


@dataclass(frozen=True)
class ConnectionFields:
    """What the connection holds; everything but its id, type and address is taken for secret."""

    conn_id: str
    password: str = field(repr=False)
    host: str | None
    extra: Mapping[str, Any] = field(repr=False)

    conn_type = "ipernity"
    #: The Test button of Airflow 3.3.2 wants a stored port.
    port = 0

    @classmethod
    def of(
        cls,
        conn_id: str,
        service: Service,
        application: Application,
        token: UserToken,
        kept: Mapping[str, Any],
    ) -> ConnectionFields:
        """:param kept: the extra of the connection so far; whatever is not about the token stays as it is."""
        extra = {
            **{name: value for name, value in kept.items() if value not in (None, "")},
            "api_key": application.api_key,
            "auth": token.auth,
            "token": token.token,
        }
        extra.pop("token_secret", None)
        if token.secret:
            extra["token_secret"] = token.secret
        if service.proxy:
            extra["proxy"] = service.proxy
        if service.verify is not True or "verify" in extra:
            extra["verify"] = service.verify
        return cls(conn_id, application.api_secret, service.host, extra)

    def as_json(self) -> str:
        """As Airflow takes it from the environment or as ``--conn-json``."""
        fields: dict[str, Any] = {"conn_type": self.conn_type, "password": self.password, "port": self.port}
        return json.dumps(fields | ({"host": self.host} if self.host else {}) | {"extra": dict(self.extra)})

    def kept_in_a_file(self) -> str:
        """Write it to a new file that only its owner may read, as ``airflow connections import`` takes it."""
        handle, path = tempfile.mkstemp(prefix=f"{self.conn_id}-", suffix=".json")
        with os.fdopen(handle, "w") as file:
            json.dump({self.conn_id: json.loads(self.as_json())}, file)
        return path

    def as_uri(self) -> str:
        from airflow.sdk import Connection

        connection = Connection(
            conn_id=self.conn_id,
            conn_type=self.conn_type,
            host=self.host,
            password=self.password,
            extra=json.dumps(dict(self.extra)),
        )
        return str(connection.get_uri())

    def printed(self, output: str) -> str:
        """:param output: ``json``, ``uri``, ``add-command`` or ``env``."""
        if output == "json":
            return self.as_json()
        if output == "uri":
            return self.as_uri()
        if output == "env":
            return f"{environment_variable(self.conn_id)}={shlex.quote(self.as_json())}"
        return shlex.join(["airflow", "connections", "add", self.conn_id, *self._options()])

    def _options(self) -> list[str]:
        # One by one, because Airflow 3.3.2 drops a port of 0 from --conn-json.
        host = ["--conn-host", self.host] if self.host else []
        options = ["--conn-type", self.conn_type, "--conn-password", self.password, *host]
        return [*options, "--conn-port", str(self.port), "--conn-extra", json.dumps(dict(self.extra))]


def environment_variable(conn_id: str) -> str:
    """The variable in which Airflow looks for a connection first."""
    return f"AIRFLOW_CONN_{conn_id.upper()}"
