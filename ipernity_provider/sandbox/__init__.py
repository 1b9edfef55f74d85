"""The photo service ipernity.com, emulated as an HTTP server on this machine.

For demonstrations, for tests, and to try a DAG without an account and without a network::

    python -m ipernity_provider.sandbox --port 8765

It is strict where the service is strict (signatures, tokens, permissions, POST for methods that
write), and every behaviour that is not known for sure is a setting. In a test::

    from ipernity_provider.sandbox import running_sandbox

    with running_sandbox(settings={"processing_seconds": 0.1}) as sandbox:
        print(sandbox.url)

The package needs the extra ``sandbox`` of the distribution, but importing it loads no server.
"""

from __future__ import annotations

from ipernity_provider.sandbox.process import RunningSandbox, SandboxDidNotStart, running_sandbox

__all__ = ["RunningSandbox", "SandboxDidNotStart", "running_sandbox"]
