"""``check``: the Test button for the shell."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict

from ipernity_provider.cli import metastore
from ipernity_provider.cli.errors import CommandFailed, exit_on_error
from ipernity_provider.hooks.checks import CHECKS, Checks, Finding
from ipernity_provider.hooks.connection import ConnectionSettingError

MAX_SECONDS = 12.0


@exit_on_error()
def check(options: Namespace) -> None:
    """Check a connection; exit with 1 if a check failed, with 2 if there is nothing to check."""
    as_json = bool(options.output)
    try:
        settings = metastore.require_settings(options.conn_id)
    except (CommandFailed, ConnectionSettingError) as error:
        if as_json:
            _print_json(options.conn_id, [Finding("connection", "failed", str(error))])
            sys.exit(2)
        raise CommandFailed(str(error), 2) from None
    findings = list(fill_skipped(Checks(settings, options.conn_id).run(MAX_SECONDS)))
    if as_json:
        _print_json(options.conn_id, findings)
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            print(f"{finding.check:<{width}}  {finding.status:<7}  {finding.sentence}")
    if any(finding.status == "failed" for finding in findings):
        sys.exit(1)


def fill_skipped(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings, then a skipped one for each check that was not reached."""
    reached = set()
    for finding in findings:
        reached.add(finding.check)
        yield finding
    for name in CHECKS:
        if name not in reached:
            yield Finding(name, "skipped", "Not checked, because of the failure above.")


def _print_json(conn_id: str, findings: list[Finding]) -> None:
    checks = [asdict(finding) for finding in findings]
    ok = all(finding.status in {"ok", "warning"} for finding in findings)
    print(json.dumps({"conn_id": conn_id, "ok": ok, "checks": checks}, indent=2))
