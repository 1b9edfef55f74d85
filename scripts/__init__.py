"""What the Makefile runs; not part of the package."""

from __future__ import annotations
