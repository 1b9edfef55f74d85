"""Machines with networks of their own, where this machine allows that: namespaces on a bridge."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Network:
    """How programs on several machines reach each other.

    :param address: where the machine that is not named listens, as all others see it.
    :param namespaces: machine -> its network namespace; empty where all share the loopback.
    """

    address: str = "127.0.0.1"
    namespaces: dict[str, str] = field(default_factory=dict)

    def command(self, machine: str | None, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one on a machine, in the same process."""
        namespace = self.namespaces.get(machine or "")
        if not namespace:
            return list(command)
        # A host name of its own, too: Airflow tells workers apart by it.
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', str(machine)]
        return ["ip", "netns", "exec", namespace, *named, *command]

    def cut(self, machine: str) -> None:
        """Pull a machine's plug: what it sends and is sent is lost."""
        _ip("link", "set", self.namespaces[machine], "down")

    def mend(self, machine: str) -> None:
        _ip("link", "set", self.namespaces[machine], "up")


@contextmanager
def network_of(machines: Sequence[str]) -> Iterator[Network]:
    """Give each machine a network of its own; all share the loopback where that is not allowed.

    The addresses are of the range that is set aside for tests of networks, 198.18.0.0/15.
    """
    number = os.getpid()
    bridge, subnet = f"ipbr{number}", f"198.18.{number % 250}"
    with ExitStack() as undo:
        try:
            _ip("link", "add", bridge, "type", "bridge")
            undo.callback(_ip, "link", "delete", bridge)
            _ip("addr", "add", f"{subnet}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            namespaces = {machine: f"ip{machine}{number}" for machine in machines}
            for last, namespace in enumerate(namespaces.values(), 2):
                _ip("netns", "add", namespace)
                undo.callback(_ip, "netns", "delete", namespace)
                # The cable's end on the bridge is named like the namespace of its other end.
                cable = f"link add {namespace} type veth peer name eth0 netns {namespace}"
                _ip(*cable.split())
                _ip("link", "set", namespace, "master", bridge, "up")
                inside = (
                    "link set lo up",
                    f"addr add {subnet}.{last}/24 dev eth0",
                    "link set eth0 up",
                )
                for words in inside:
                    _ip("-n", namespace, *words.split())
        except (OSError, subprocess.CalledProcessError):
            undo.close()
            yield Network()
        else:
            yield Network(f"{subnet}.1", namespaces)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
