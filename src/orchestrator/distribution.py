"""The name under which the package index knows this package, and the commands that install it.

It differs from the import name: the distribution called `orchestrator` is an unrelated project.
"""

from __future__ import annotations

NAME = "pyorchestrator"
FOREIGN_NAME = "orchestrator"
VERSION = "0.1.0"


def install_command(*extras: str) -> str:
    """Return the command that installs the package, with these extras."""
    return f'pip install "{NAME}[{",".join(extras)}]"' if extras else f"pip install {NAME}"
