"""The generated part of `docs/ARCHITECTURE.md`: the packages in import order, their rooms, and what each is for.

The order is that of the import-linter contract in `pyproject.toml`; the descriptions are the first sentences of the
docstrings. A package that the contract does not list is an error, so none can be forgotten.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "orchestrator"
PAGE = ROOT / "docs" / "ARCHITECTURE.md"
START, END = "<!-- packages: written by docs/generate.py -->", "<!-- end of packages -->"


def architecture_page() -> str:
    """Return the page with its table of packages up to date."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    return "\n".join([before + START, "", *package_table(), "", END + rest.partition(END)[2]])


def package_table() -> Iterator[str]:
    """Yield the rows of the table: each package, followed by its rooms."""
    yield "| package or room | purpose |"
    yield "| --- | --- |"
    for name in packages():
        module = SOURCE / f"{name}.py"
        if module.exists():
            yield f"| **`{name}.py`** | {purpose(module)} |"
            continue
        yield f"| **`{name}/`** | {purpose(SOURCE / name / '__init__.py')} |"
        for room in sorted((SOURCE / name).glob("*/__init__.py")):
            yield f"| `{name}/{room.parent.name}` | {purpose(room)} |"


def packages() -> list[str]:
    """Return all packages and modules in the order in which they may import each other, the lowest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    listed = [
        name.removeprefix("orchestrator.") for layer in reversed(layers) for name in re.split(r"\s*[:|]\s*", layer)
    ]
    found = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    found |= {path.stem for path in SOURCE.glob("*.py") if not path.stem.startswith("__")}
    if missing := found - set(listed):
        raise SystemExit(f"not in the import-linter contract of pyproject.toml: {', '.join(sorted(missing))}")
    return listed


def purpose(module: Path) -> str:
    """Return the first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?]) (?=[A-Z])", paragraph)[0]
    return sentence.rstrip(".").replace("|", "\\|")
