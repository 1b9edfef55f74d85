"""Apache Airflow provider for ipernity.com."""

from __future__ import annotations

__version__ = "0.1.0"
