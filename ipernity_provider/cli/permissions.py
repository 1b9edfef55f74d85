"""The permissions that a consent link asks for."""

from __future__ import annotations

from collections.abc import Iterable

from ipernity_provider.api.models import LEVELS
from ipernity_provider.cli.ending import CommandFailed

Permissions = dict[str, str]

_AREAS = ("doc", "blog", "post", "network", "profile")


def asked_permissions(options: Iterable[str]) -> Permissions:
    """``doc: write``, and what ``AREA=LEVEL`` options add to it or put in its place."""
    asked = {"doc": "write"}
    for option in options:
        area, _, level = option.partition("=")
        allowed = LEVELS[1:3] if area == "profile" else LEVELS[1:]
        if area not in _AREAS or level not in allowed:
            raise CommandFailed(
                f"--permission {option} is not possible: the areas are {', '.join(_AREAS)}, the levels read, write and "
                "(except for profile) delete."
            )
        asked[area] = level
    return asked


def link_parameters(permissions: Permissions) -> dict[str, str]:
    return {f"perm_{area}": level for area, level in permissions.items()}
