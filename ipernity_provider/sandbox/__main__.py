from __future__ import annotations

import sys

try:
    from ipernity_provider.sandbox.server import main
except ModuleNotFoundError as error:
    print(
        f"The sandbox needs the package {error.name}: pip install 'airflow-provider-ipernity[sandbox]'.",
        file=sys.stderr,
    )
    sys.exit(2)

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
