"""``check``: the test button for the shell."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Iterator

from ipernity_provider.cli import stored
from ipernity_provider.cli.connection import environment_variable
from ipernity_provider.cli.ending import CommandFailed
from ipernity_provider.hooks.checks import CHECKS, Checks, Finding
from ipernity_provider.hooks.settings import ConnectionSettingError, ConnectionSettings

LONGEST_SECONDS = 12.0


def check(options: Namespace) -> int:
    """Carry out the command and return its exit code."""
    as_json = bool(options.output)
    try:
        settings = _settings(options.conn_id)
    except (CommandFailed, ConnectionSettingError) as error:
        if not as_json:
            raise CommandFailed(str(error), 2) from None
        _print_json(options.conn_id, [Finding("connection", "failed", str(error))])
        return 2
    findings = list(fill_skipped(Checks(settings, options.conn_id).run(LONGEST_SECONDS)))
    if as_json:
        _print_json(options.conn_id, findings)
    else:
        _print_table(findings)
    return 1 if any(finding.status == "failed" for finding in findings) else 0


def fill_skipped(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings, then one for each check that was not reached."""
    there = set()
    for finding in findings:
        there.add(finding.check)
        yield finding
    for name in CHECKS:
        if name not in there:
            yield Finding(name, "skipped", "Not checked, because of the failure above.")


def _settings(conn_id: str) -> ConnectionSettings:
    connection = stored.find(conn_id)
    if connection is None and environment_variable(conn_id) in os.environ:
        raise CommandFailed(
            f"The environment variable {environment_variable(conn_id)} holds no connection that Airflow can read: neither as "
            "JSON nor as a URI."
        )
    if connection is None:
        undefined = f"Connection {conn_id!r} is not defined"
        try:
            stored.is_in_database(conn_id)  # it may be there, and unreadable
        except stored.DatabaseUnusable as error:
            raise CommandFailed(f"{undefined} in the environment or a secrets backend, and {error}") from None
        raise CommandFailed(f"{undefined}: `airflow ipernity authorize` makes it.")
    return ConnectionSettings.of(connection, connection.extra_dejson)


def _print_table(findings: list[Finding]) -> None:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        print(f"{finding.check:<{width}}  {finding.status:<7}  {finding.sentence}")


def _print_json(conn_id: str, findings: list[Finding]) -> None:
    checks = [finding.as_dict() for finding in findings]
    ok = all(finding.status in {"ok", "warning"} for finding in findings)
    print(json.dumps({"conn_id": conn_id, "ok": ok, "checks": checks}, indent=2))
