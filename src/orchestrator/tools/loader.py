"""Loads tools from a user's modules, files and objects."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.errors import ConfigurationError
from orchestrator.text.content import path_kind
from orchestrator.text.words import quoted_list
from orchestrator.tools.call import is_from_keyboard
from orchestrator.tools.contract import Tool
from orchestrator.tools.functions.definition import is_marked, to_tool
from orchestrator.tools.functions.tracebacks import exception_text, innermost_line
from orchestrator.tools.sibling_imports import sibling_imports
from orchestrator.tools.source_files import package_root

if TYPE_CHECKING:
    from collections.abc import Iterator


def to_tools(source: Any, *, name: str | None = None, directory: Path | None = None) -> tuple[Tool, ...]:
    """Return the tools of an object: of a module, those marked with `@tool`, or else its functions as one tool.

    That tool is called `name`, or like the module. A string is passed to `load_tools`, by default with the current
    directory.
    """
    if isinstance(source, str):
        return load_tools(source, directory=directory)
    if isinstance(source, ModuleType):
        marked = [item for item in vars(source).values() if _offered(item, source)]
        if marked:
            return tuple(to_tool(item) for item in marked)
    return (to_tool(source, name=name),)


def _offered(item: Any, module: ModuleType) -> bool:
    if isinstance(item, Tool):
        return True
    return isinstance(item, FunctionType | type) and is_marked(item) and item.__module__ == module.__name__


def load_tools(source: str, *, directory: Path | None = None) -> tuple[Tool, ...]:
    """Load tools from `module`, `module:attribute` or the path of a Python file (which may have `:attribute` too).

    Modules are also searched in `directory`, by default the current directory.

    Raises:
        ConfigurationError: ORC903 it cannot be imported; ORC904 it contains an invalid tool.
    """
    name, _, attribute = source.rpartition(":") if ":" in source[2:] else (source, "", "")
    is_file = name.endswith(".py")
    module = _load_file(source, name) if is_file else _load_module(source, name, directory or Path.cwd())
    if not attribute:
        return to_tools(module, name=Path(name).stem if is_file else None)
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            names = quoted_list(key for key in vars(module) if not key.startswith("_"))
            raise _failed(source, f"it has no `{attribute}`", f"it has {names}") from None
    return to_tools(found)


def _load_module(source: str, name: str, directory: Path) -> ModuleType:
    """Import a module by name; a console script does not search the project's directory by default."""
    with sibling_imports(directory), _explained(source, name):
        return import_module(name)


_loading: Final = threading.RLock()
"""Held while a file is loaded: otherwise another thread would find its module before all of it has run."""


def _load_file(source: str, name: str) -> ModuleType:
    with _loading:
        return _loaded_file(source, name)


def _loaded_file(source: str, name: str) -> ModuleType:
    path = Path(name).absolute()
    if path_kind(path) != "file":
        raise _failed(source, "the file does not exist", "check the path")
    package = package_root(path)
    if package is not None:
        root, dotted = package
        with sibling_imports(root), sibling_imports(path.parent), _explained(source):
            return import_module(dotted)
    module_name = f"orchestrator_tools_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise _failed(source, "it is not a Python file", "use a module or a .py file")
    module = module_from_spec(spec)
    sys.modules[module_name] = module  # before it runs: its dataclasses and annotations are looked up here
    try:
        with sibling_imports(path.parent), _explained(source):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


@contextmanager
def _explained(source: str, name: str = "") -> Iterator[None]:
    """Turn an exception from importing the user's code into a ConfigurationError; `name` is the module's."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if name and (name == missing or name.startswith(f"{missing}.")):
            raise _failed(
                source, f"unknown module `{missing}`", "check the name, or use the path of a .py file"
            ) from error
        file = missing.partition(".")[0] + ".py"
        problem = f"it imports `{missing}`, which is not installed"
        raise _failed(source, problem, f"install `{missing}`, or put `{file}` next to the tools") from error
    except BaseException as error:
        if is_from_keyboard(error):
            raise
        where = innermost_line(error)
        problem = f"importing it raised {exception_text(error)}" + (f" ({where})" if where else "")
        raise _failed(source, problem, "set ORCHESTRATOR_DEBUG=1 to see the whole traceback") from error


def _failed(source: str, problem: str, help: str) -> ConfigurationError:
    error = ConfigurationError(f"the tools of `{source}` cannot be loaded: {problem}", help=help)
    error.code = codes.TOOLS_NOT_LOADABLE
    return error
