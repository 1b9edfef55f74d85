"""The commands of ``airflow ipernity``: their names and options. Airflow loads this at each of its starts."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

_CONN_ID = Arg(
    ("--conn-id",), default="ipernity_default", help="Airflow connection (default: ipernity_default)"
)

AUTHORIZE = ActionCommand(
    name="authorize",
    help="Let an account's owner consent, and keep the token in an Airflow connection",
    description=(
        "Obtains a user's token and stores it in an Airflow connection, or prints it. The API key comes from "
        "--api-key, the environment (IPERNITY_API_KEY), the connection if it exists, or is asked for. The API secret "
        "comes from the environment (IPERNITY_API_SECRET), the connection, or is asked for without showing it; it is "
        "no option, for options can be seen by others."
    ),
    func=lazy_load_command("ipernity_provider.cli.commands.authorize"),
    args=(
        _CONN_ID,
        Arg(("--api-key",), help="API key, from https://www.ipernity.com/apps/key"),
        Arg(
            ("--oauth",), action="store_true", help="obtain an OAuth 1.0a token, not one of the service's own"
        ),
        Arg(
            ("--permission",),
            action="append",
            metavar="AREA=LEVEL",
            help="ask for another permission than doc=write, e.g. doc=delete or blog=read; may be repeated",
        ),
        Arg(
            ("--output",),
            choices=("store", "json", "uri", "add-command", "env"),
            default="store",
            help="store the connection in Airflow, or print it with its secrets (default: store)",
        ),
        Arg(
            ("--overwrite",),
            action="store_true",
            help="renew the token of a connection that exists; its other settings stay",
        ),
        Arg(
            ("--no-browser",),
            action="store_true",
            help="only print the consent address; with --oauth also for a browser on another machine",
        ),
        Arg(
            ("--poll",),
            action="store_true",
            help="ask the service for the token every 3 s instead of waiting for Enter (not with --oauth)",
        ),
        Arg(("--timeout",), type=float, default=300.0, help="seconds to wait for the consent (default: 300)"),
        Arg(("--host",), help="another address of API and website, e.g. of a sandbox"),
        Arg(("--proxy",), help="address of a proxy; kept in the connection"),
        Arg(("--verify",), help="true, false, or the path of a CA file; kept in the connection"),
    ),
)

CHECK = ActionCommand(
    name="check",
    help="Check a connection step by step",
    description=(
        "Asks the service, each question once and 12 s at the most: does it know the key, the secret and the token, "
        "may the token write, is the account PRO, how much may be uploaded, do the answers look as expected. "
        "Exit code 0: all is well; 1: something failed; 2: the connection itself is missing or wrong."
    ),
    func=lazy_load_command("ipernity_provider.cli.commands.check"),
    args=(
        _CONN_ID,
        # Airflow keeps its log lines off stdout where a command has an `output`.
        Arg(("--json",), action="store_true", dest="output", help="print one JSON object"),
    ),
)

SANDBOX = ActionCommand(
    name="sandbox",
    help="Run the service's sandbox on this machine",
    func=lazy_load_command("ipernity_provider.cli.commands.sandbox"),
    args=(
        Arg(("--host",), default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"),
        Arg(("--port",), type=int, default=8765, help="port, 0 for a free one (default: 8765)"),
        Arg(("--settings",), default="{}", metavar="JSON", help="settings as JSON, or @FILE with them"),
    ),
)


def get_ipernity_cli_commands() -> list[GroupCommand]:
    """What Airflow adds to its command line."""
    return [
        GroupCommand(
            name="ipernity",
            help="Connect to the photo service ipernity.com",
            subcommands=(AUTHORIZE, CHECK, SANDBOX),
        )
    ]
