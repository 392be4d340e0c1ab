"""Writes the pages that are generated from the code, or with `--check` says which of them are out of date.

    python docs/generate.py           writes docs/reference/ and the page of every code
    python docs/generate.py --check   exits 1 and names the stale ones

The page of a code lives in the package, where `orchestrator explain` reads it; the site's copy is not tracked.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer
from api_page import api_page

from orchestrator.cli.app import COMMANDS, build
from orchestrator.diagnostics import CODES, Code
from orchestrator.expressions.builtins.reference_page import reference_markdown as expressions_page
from orchestrator.language.reference.page import reference_markdown as language_page
from orchestrator.models.actions import model_tools
from orchestrator.tools import builtin_registry
from orchestrator.tools.reference_page import reference_markdown as tools_page

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = ROOT / "src" / "orchestrator" / "diagnostics" / "pages"
CASES = ROOT / "tests" / "conformance" / "diagnostics"
SESSIONS = ROOT / "tests" / "conformance" / "commands"

GROUPS = {
    "1": "Reading the file",
    "2": "Structure",
    "3": "Names and expressions",
    "4": "Tools",
    "5": "Warnings",
    "6": "Inputs of a run",
    "7": "Failures of a step",
    "8": "Runs and the store",
    "9": "Installation and configuration",
}


def tracked_pages() -> dict[Path, str]:
    """Return every generated file that is kept in the repository, and its text."""
    found = {
        REFERENCE / "language.md": language_page(),
        REFERENCE / "expressions.md": expressions_page(),
        REFERENCE / "tools.md": tools_page(builtin_registry() | model_tools()),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "api.md": api_page(),
        **{PAGES / f"{code.code}.md": code_page(code) for code in CODES.values()},
    }
    return {path: text.rstrip("\n") + "\n" for path, text in found.items()}


def site_pages() -> dict[Path, str]:
    """Return the pages that only the site needs: the index of codes, and again the page of each."""
    folder = REFERENCE / "diagnostics"
    found = {folder / "index.md": index_page()}
    return found | {folder / f"{code.code}.md": code_page(code) for code in CODES.values()}


def code_page(code: Code) -> str:
    """Return the page of one code; its example is the first case that triggers it: a pipeline or a session."""
    lines = [f"# {code.code}: {code.title}", "", code.explanation]
    if code.severity == "warning":
        lines += ["", "This is a warning: the pipeline can run all the same."]
    for case in sorted((CASES / code.code).glob("*.yaml"))[:1]:
        shown = case.with_suffix(".txt")
        lines += ["", "## Example", "", *fenced(case.read_text(encoding="utf-8", errors="replace"), "yaml")]
        if shown.exists():
            said = shown.read_text(encoding="utf-8")
            lines += ["", "`orchestrator check` says:", "", *fenced(said, "text")]
    for session in sorted((SESSIONS / code.code).glob("*.txt"))[:1]:
        lines += ["", "## Example", "", *fenced(session.read_text(encoding="utf-8"), "console")]
    return "\n".join(lines)


def fenced(text: str, language: str) -> Iterator[str]:
    """Fence a text with more backticks than it has itself."""
    fence = "```"
    while fence in text:
        fence += "`"
    yield f"{fence}{language}"
    yield from text.rstrip("\n").split("\n")
    yield fence


def index_page() -> str:
    """Return the table of all codes."""
    lines = [
        "# Codes",
        "",
        "Every diagnostic and error has a stable code. `orchestrator explain CODE` prints its page.",
    ]
    for digit, title in GROUPS.items():
        lines += ["", f"## {title}", "", "| code | what it is |", "| --- | --- |"]
        lines += [
            f"| [{code.code}]({code.code}.md) | {code.title} |"
            for code in CODES.values()
            if code.code.startswith(f"ORC{digit}")
        ]
    return "\n".join(lines)


def cli_page() -> str:
    """Return the reference of the command, from its own definitions."""
    root = typer.main.get_command(build())
    lines = [
        "# Command",
        "",
        "`orchestrator` and `orc` are the same command. Data go to stdout, words for people to stderr; colour and the",
        "live table only to a terminal, and no colour where `NO_COLOR` is set.",
        "",
        "| exit code | meaning |",
        "| --- | --- |",
        "| 0 | done |",
        "| 1 | the run failed, or problems were found |",
        "| 2 | wrong usage, or a pipeline that does not compile |",
        "| 3 | the run is paused, or waits for an answer |",
        "| 130 | interrupted by Ctrl-C, SIGTERM or SIGHUP |",
    ]
    for name in COMMANDS:
        command = root.commands[name]  # type: ignore[attr-defined] # the class is private to typer
        context = command.make_context(f"orchestrator {name}", [], resilient_parsing=True)
        usage = command.get_usage(context).removeprefix("Usage: ")
        lines += ["", f"## {name}", "", *fenced(" ".join(usage.split()), "text"), "", *paragraphs(command.help or "")]
        rows = [record for p in command.get_params(context) if (record := p.get_help_record(context))]
        lines += ["", "| option | meaning |", "| --- | --- |"]
        lines += [f"| `{cell(option)}` | {cell(meaning)} |" for option, meaning in rows]
    return "\n".join(lines)


def paragraphs(text: str) -> Iterator[str]:
    """Dedent a docstring."""
    for line in text.strip().split("\n"):
        yield line.strip()


def cell(text: str) -> str:
    """Escape a table's cell."""
    return " ".join(text.replace("|", "\\|").split())


def stale(wanted: Mapping[Path, str]) -> list[Path]:
    """Return the files that differ from what they should be, and those that should not be there."""
    differ = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    there = [path for folder in {path.parent for path in wanted} for path in folder.glob("*.md")]
    return sorted({*differ, *(path for path in there if path not in wanted)})


def main(arguments: list[str]) -> int:
    """Check the pages, or write them."""
    wanted = tracked_pages()
    if "--check" in arguments:
        changed = stale(wanted)
        for path in changed:
            print(f"out of date: {path.relative_to(ROOT)}", file=sys.stderr)
        if changed:
            print("write them anew with: make reference", file=sys.stderr)
        return 1 if changed else 0
    wanted |= site_pages()
    for path in stale(wanted):
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
