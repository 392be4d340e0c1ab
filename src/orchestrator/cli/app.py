"""The command tree, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Final

import typer

from orchestrator.cli.maintain.completion import INSTALLING, PROGRAMS, attach, program, requested
from orchestrator.cli.options.usage_errors import CliCommand, command_group

GROUPS: Final = {
    "Run": {
        "run": "run.run",
        "map": "run.map",
        "submit": "run.submit",
        "worker": "run.worker",
        "serve": "run.serve",
    },
    "Inspect": {
        "runs": "inspect.runs",
        "batches": "inspect.runs",
        "workers": "inspect.workers",
        "status": "inspect.runs",
        "events": "inspect.runs",
        "show": "inspect.show",
        "report": "inspect.report",
        "why": "inspect.why",
        "questions": "inspect.questions",
        "qc": "inspect.qc",
    },
    "Control": {
        "pause": "control.pause",
        "resume": "control.resume",
        "retry": "control.retry",
        "fork": "control.fork",
        "answer": "control.answer",
        "cancel": "control.cancel",
        "triggers": "control.triggers",
    },
    "Author": {
        "init": "author.init",
        "check": "author.check",
        "import": "author.import_file",
        "graph": "author.check",
        "explain": "author.explain",
        "test": "author.test",
        "lock": "author.lock",
        "tools": "author.explain",
        "filters": "author.filters",
        "models": "author.models",
        "schema": "author.check",
    },
    "Maintain": {
        "doctor": "maintain.doctor",
        "keys": "maintain.keys",
        "tokens": "maintain.tokens",
        "notify": "maintain.notify",
        "sessions": "maintain.sessions",
        "store": "maintain.store",
        "prune": "maintain.store",
    },
}
"""The commands as `--help` groups them, each with the module that holds the function of its name."""

COMMANDS: Final = {name: module for commands in GROUPS.values() for name, module in commands.items()}


def build(*, only: str | None = None) -> typer.Typer:
    """Return the application with all commands, or with one: importing and inspecting the others takes time."""
    app = typer.Typer(
        name="orchestrator",
        cls=command_group(GROUPS),
        help="Check, run, watch and control pipelines of AI and tool steps, written in YAML.",
        epilog="Start with `orchestrator init`, and see `orchestrator COMMAND --help`.",
        no_args_is_help=True,
        add_completion=only is None,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )

    @app.callback()
    def common(
        version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True, callback=_version),
    ) -> None:
        pass

    for name, module in COMMANDS.items():
        if only in (None, name):
            function = getattr(import_module(f"orchestrator.cli.{module}"), f"{name}_" if iskeyword(name) else name)
            if requested():
                attach(function)
            app.command(name, cls=CliCommand)(function)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from orchestrator.distribution import VERSION

        typer.echo(f"orchestrator {VERSION}")
        raise typer.Exit


def run_command(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; no error becomes a traceback."""
    from orchestrator.cli.terminal.output import (
        FAILED,
        INTERRUPTED,
        exit_code,
        open_closed_streams,
        report,
        say,
        unwritable,
    )
    from orchestrator.errors import OrchestratorError

    words = sys.argv[1:] if arguments is None else arguments
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    only = words[0] if words and words[0] in COMMANDS else None
    try:
        if words and words[0] in INSTALLING:
            return _install_completion(words)
        build(only=only)(args=words, prog_name=program(sys.argv[0]) if requested() else PROGRAMS[0])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED if stop.code else 0
    except OrchestratorError as error:
        report(error)
        return exit_code(error)
    except KeyboardInterrupt:
        say("interrupted", "yellow")
        return INTERRUPTED
    except BaseException as error:  # the last line of defence: whatever it is, no traceback
        if isinstance(error, OSError) and _is_of_help(error):
            unwritable(error)
            return FAILED
        return _report_unexpected(error, words)
    return 0


def _install_completion(words: list[str]) -> int:
    """Install completion, or show it, for each name of the command."""
    codes = []
    for name in PROGRAMS:
        try:
            build()(args=words, prog_name=name)
        except SystemExit as stop:
            codes.append(stop.code if isinstance(stop.code, int) else 1 if stop.code else 0)
    return max(codes, default=0)


def _is_of_help(error: OSError) -> bool:
    """Whether it came from writing help or the version, which is not done by `emit`."""
    import traceback

    return traceback.extract_tb(error.__traceback__)[-1].name == "echo"


def _report_unexpected(error: BaseException, words: list[str]) -> int:
    """Write the details of an internal error to a file, and report it."""
    import tempfile
    import traceback

    from orchestrator.cli.terminal.output import FAILED, say

    if os.environ.get("ORCHESTRATOR_DEBUG"):
        traceback.print_exception(error)
        return FAILED
    descriptor, name = tempfile.mkstemp(prefix="orchestrator-error-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as out:
        out.write(f"command: {words[:1]}\npython: {sys.version}\n\n")
        traceback.print_exception(error, file=out)
    say("error[ORC999]: internal error (a bug in Orchestrator); everything recorded is safe", "red")
    say(f"  details are in {name}; please report it")
    say("  help: set ORCHESTRATOR_DEBUG=1 to print the details")
    return FAILED
