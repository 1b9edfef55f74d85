"""The ipernity API for any Python program: nothing here knows of Airflow.

>>> from ipernity_provider.api.client import IpernityClient
>>> client = IpernityClient("my-api-key", "my-api-secret", token="my-token")
>>> client.get_document("5412").title

Modules: :mod:`~ipernity_provider.api.client` (the calls), :mod:`~ipernity_provider.api.models`
(what they return),
:mod:`~ipernity_provider.api.errors` (what they raise), :mod:`~ipernity_provider.api.transport`,
:mod:`~ipernity_provider.api.signing`, :mod:`~ipernity_provider.api.multipart`,
:mod:`~ipernity_provider.api.exchange`, :mod:`~ipernity_provider.api.parsing` and
:mod:`~ipernity_provider.api.download` (how they work).
"""

from __future__ import annotations
