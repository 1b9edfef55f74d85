"""Run the server: ``python -m ipernity_provider.sandbox``."""

from __future__ import annotations

import sys

try:
    from ipernity_provider.sandbox.server import main
except ModuleNotFoundError as error:
    install = "pip install 'airflow-provider-ipernity[sandbox]'"
    print(f"The sandbox needs the package {error.name}: {install}.", file=sys.stderr)
    sys.exit(2)

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
