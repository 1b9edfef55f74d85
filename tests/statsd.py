"""A StatsD server."""

from __future__ import annotations

import re
import socket


class StatsD:
    """A StatsD server: it keeps the lines that it gets."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port = int(self._socket.getsockname()[1])

    def lines(self) -> list[tuple[str, float, str]]:
        """Return name, value and kind of all that has come since, in its order."""
        found: list[tuple[str, float, str]] = []
        while True:
            try:
                data = self._socket.recv(65535).decode()
            except TimeoutError:
                return found
            for line in data.splitlines():
                name, value, kind = re.fullmatch(r"airflow\.(\S+?):(\S+)\|(\w+)", line).groups()  # type: ignore[union-attr]
                found.append((name, float(value), kind))

    def close(self) -> None:
        self._socket.close()
