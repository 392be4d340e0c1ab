"""The extras and distributions that tools require, and whether they are installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import TYPE_CHECKING

from orchestrator.errors import MissingExtra

if TYPE_CHECKING:
    from orchestrator.tools.contract import Action

_MODULES = {
    "browser": ("playwright", "bs4", "markdownify"),
    "charts": ("vl_convert",),
    "data": ("polars",),
    "mcp": ("mcp",),
    "postgres": ("psycopg",),
    "vectors": ("apsw", "sqlite_vec"),
    "storage": ("obstore",),
    "web": ("ddgs",),
    "documents": ("markitdown", "protego"),
    "docx": ("docx",),
    "pdf": ("weasyprint",),
}


def missing_requirement(action: Action) -> MissingExtra | None:
    """Return the error for the first requirement of an action that is not installed, if any."""
    for requirement in action.requires:
        if not _installed(requirement):
            message = f"`{action.name}` requires `{requirement}`, which is not installed"
            error = MissingExtra(message, extra=requirement)
            if requirement not in _MODULES:
                error.help, error.remedies = f"install it with: pip install {requirement}", ()
            return error
    return None


def _installed(requirement: str) -> bool:
    if requirement in _MODULES:
        return all(find_spec(module) is not None for module in _MODULES[requirement])
    try:
        distribution(requirement)
    except PackageNotFoundError:
        return requirement.isidentifier() and find_spec(requirement) is not None
    return True
