"""The service's methods, one module per service name."""

from __future__ import annotations
