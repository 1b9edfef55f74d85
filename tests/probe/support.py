"""Run a probe in this process, as fast as the sandbox answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ipernity_provider.probe.cleanup import Left, clean_up
from ipernity_provider.probe.driver import Probe
from ipernity_provider.probe.findings import Findings
from ipernity_provider.probe.polling import Patience
from ipernity_provider.probe.record import Record
from tests.conftest import Service

#: For what never comes.
SHORT = Patience(seconds=2, first_pause=0.1, longest_pause=0.5)
QUICK = Patience(seconds=30, first_pause=0.1, longest_pause=0.5)


def probe(
    service: Service,
    record: Path,
    media: Sequence[str] = ("photo",),
    auth: str = "signature",
    patience: Patience = QUICK,
) -> Findings:
    with service.client(auth) as client:
        token = client.check_token()
    return Probe(
        lambda **changes: service.client(auth, **changes),
        token,
        Record.load(record, service.url),
        is_live=False,
        auth=auth,
        patience=patience,
        say=lambda _: None,
    ).run(media)


def clean(service: Service, record: Path, patience: Patience = QUICK) -> list[Left]:
    with service.client() as client:
        stored = Record.load(record, service.url)
        token = client.check_token()
        return clean_up(client, token, stored, stored.attempts, patience, lambda _: None)


def own_documents(service: Service) -> set[str]:
    with service.client() as client:
        reply = client.call("doc.getList", user_id="1234", per_page=100)
    return {document["doc_id"] for document in reply["docs"]["doc"]}
