"""``python -m ipernity_provider``: the commands of ``airflow ipernity``, started faster."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command, which exits by itself if it fails."""
    try:
        options = _parser().parse_args(arguments)
        options.func(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    # Loaded here, because it takes a second, in which Ctrl-C must work, too.
    import airflow.configuration  # noqa: F401 - it lets warnings of its own through

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow logs them to stdout, before our JSON
        from ipernity_provider.cli.definition import get_ipernity_cli_commands

    (group,) = get_ipernity_cli_commands()
    parser = argparse.ArgumentParser(prog="python -m ipernity_provider", description=group.help)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in group.subcommands:
        subparser = commands.add_parser(
            command.name, help=command.help, description=command.description or command.help
        )
        for argument in command.args:
            argument.add_to_parser(subparser)
        subparser.set_defaults(func=command.func)
    return parser


if __name__ == "__main__":
    main()
