"""Packages whose names are imported from their modules on first use (PEP 562).

A command loads only what it uses: `check` nothing that executes runs, `runs` nothing that compiles. `_EXPORTS` of a
package is the one list of its names; `docs/generate.py` writes the stub that type checkers read from it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as type checkers read it: `import orchestrator` does not wait for `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any


def lazy_exports(package: str, exports: Mapping[str, Collection[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package, and make its names what `import *` takes.

    `exports` has each module with its names that the package has too.
    """
    modules = {name: module for module, names in exports.items() for name in names}
    sys.modules[package].__dict__["__all__"] = sorted(modules)

    def load(name: str) -> Any:
        from importlib import import_module

        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
