"""Packages whose names are imported from their modules on first use (PEP 562).

A command loads only what it uses: `check` nothing that executes runs, `runs` nothing that compiles.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as type checkers read it: `import orchestrator` does not wait for `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazy_exports(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Args:
        package: the name of the package.
        names: the module of each name, relative to the package; for a name of another package, its full name.
    """

    def load(name: str) -> Any:
        from importlib import import_module

        module = names.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module if module.startswith("orchestrator.") else f"{package}.{module}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
