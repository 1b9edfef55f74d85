"""The service's methods, by service name."""

from __future__ import annotations
