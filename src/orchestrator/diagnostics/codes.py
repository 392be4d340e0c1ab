"""The codes of all diagnostics and errors, one line each. `orchestrator explain CODE` starts from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Code:
    """A stable code. `title` is a short noun phrase; `explanation` says why it matters and how to mend it.

    `remedy` is the help of a diagnostic that has no more specific one.
    """

    code: str
    title: str
    explanation: str
    severity: Literal["error", "warning"] = "error"
    remedy: str | None = None


_TABLE = (
    # --- 1xx: reading the file
    Code("ORC100", "file that cannot be read", "The path does not exist, is a directory, or is not UTF-8 text."),
    Code("ORC101", "YAML syntax error", "The text is not valid YAML at this place."),
    Code("ORC102", "tab in indentation", "YAML indents with spaces only."),
    Code(
        "ORC103",
        "unquoted template",
        "A value that begins with `{{` or `{%` must be quoted, or YAML reads `{` as a mapping.",
    ),
    Code("ORC104", "duplicate key", "A mapping has the same key twice; only one of them could count."),
    Code("ORC105", "file over its budget", "The file is too large, too deep, or expands too much through aliases."),
    Code("ORC106", "unknown alias", "An alias (`*name`) has no anchor (`&name`) before it."),
    Code("ORC107", "not one mapping", "A pipeline file holds exactly one YAML document, and that is a mapping."),
    Code("ORC108", "unsupported YAML", "A tag, or a key that is not text."),
    # --- 2xx: structure
    Code("ORC201", "unknown key", "This key is not part of the language here."),
    Code(
        "ORC202",
        "wrong type",
        "The value of this key has another type than the language asks for.",
        remedy="write the value as the message says; `orchestrator schema` lists the keys and their types",
    ),
    Code("ORC203", "missing key", "A key that the language requires is not there."),
    Code("ORC204", "duplicate step id", "Two steps have the same id."),
    Code(
        "ORC205",
        "value not allowed",
        "The value is not one of those allowed here, or out of bounds.",
        remedy="write one of the values that the message allows",
    ),
    Code("ORC206", "bad duration", "A duration is a number of seconds or a text such as `30s`, `5m`, `1h30m`."),
    Code("ORC207", "two spellings of one thing", "Two keys at one place mean the same."),
    Code(
        "ORC208",
        "default that violates its own spec",
        "The default of an input does not satisfy the input's own type or limits.",
    ),
    Code("ORC209", "bad name", "An id or name has characters that are not allowed, or is a reserved word."),
    Code("ORC210", "step without work", "A step has neither `tool` nor `action`."),
    Code(
        "ORC211",
        "name used twice",
        "An input, a variable and a step share one name, so a reference to it would be ambiguous.",
    ),
    # --- 3xx: names and expressions
    Code("ORC301", "undefined name", "An expression reads a name that is no input, variable, step or function."),
    Code("ORC302", "unknown step", "A step is named that does not exist."),
    Code("ORC303", "unknown field", "A field is read that the value is declared not to have."),
    Code("ORC304", "reference to itself", "A step reads or depends on itself."),
    Code("ORC305", "dependency cycle", "Steps wait for one another in a circle."),
    Code("ORC306", "jump to a missing step", "A jump names a step that does not exist."),
    Code("ORC307", "jump backwards", "A jump goes to the step itself or to an earlier one; jumps only go forward."),
    Code(
        "ORC310",
        "malformed expression",
        "The text between the braces is not an expression.",
        remedy="an expression reads like `topic | upper`, `pages + 1` or `long if pages > 9 else short`",
    ),
    Code("ORC311", "unterminated expression", "A `{{`, `{%` or `{#` is never closed, or a block never ended."),
    Code("ORC312", "unknown filter", "No filter has this name."),
    Code(
        "ORC313",
        "wrong arguments",
        "A filter, test, function or method is given arguments that it does not take.",
        remedy="give it the arguments that it takes; the reference of expressions lists them",
    ),
    Code("ORC314", "unknown test", "No test (`is ...`) has this name."),
    Code(
        "ORC315",
        "unknown function or method",
        "Only a fixed set of functions and methods can be called.",
        remedy="use a filter instead, as in `topic | upper`; the reference of expressions lists what can be called",
    ),
    Code(
        "ORC316",
        "types that do not fit",
        "An operation is applied to types that it can never work on.",
        remedy="convert one of the values, for example with `| int`, `| string` or `| list`",
    ),
    Code(
        "ORC317",
        "unsupported template feature",
        "A feature of Jinja2 that is left out on purpose; the help names the replacement.",
    ),
    # --- 4xx: tools
    Code("ORC401", "unknown tool", "No tool has this name."),
    Code("ORC402", "unknown action", "The tool has no action of this name."),
    Code("ORC403", "unknown parameter", "The action takes no parameter of this name."),
    Code("ORC404", "missing parameter", "The action requires a parameter that is not given."),
    Code("ORC405", "parameter of the wrong type", "The value can never be what the action asks for."),
    Code("ORC406", "not permitted", "The call would be refused: access is denied unless it is allowed."),
    Code("ORC407", "missing extra", "The tool needs an optional part that is not installed."),
    Code("ORC408", "action not named", "The tool has several actions, and the step names none of them."),
    # --- 5xx: warnings
    Code("ORC501", "unused input", "No expression reads this input.", "warning"),
    Code(
        "ORC502", "unguarded read of a step that may be skipped", "If the step is skipped its value is null.", "warning"
    ),
    Code("ORC503", "step that never runs", "The condition is always false, or a jump always skips it.", "warning"),
    Code("ORC504", "unused variable", "No expression reads this variable.", "warning"),
    Code("ORC505", "output of the wrong type", "The output's value cannot have its declared type."),
    Code(
        "ORC506",
        "output that refers to nothing",
        "The output is a constant; most often braces were forgotten.",
        "warning",
    ),
    # --- 6xx: inputs of a run
    Code("ORC601", "missing input", "The pipeline requires an input that was not given."),
    Code("ORC602", "unknown input", "The pipeline has no input of this name."),
    Code("ORC603", "invalid input", "An input's value does not satisfy its spec."),
    Code("ORC604", "secret needed again", "Secrets are never stored, so a resumed run must be given them again."),
    # --- 7xx: failures of a step
    Code("ORC701", "tool failed", "The tool raised an error."),
    Code("ORC702", "timeout", "The attempt ran longer than its `timeout` and was stopped."),
    Code("ORC703", "permission denied", "The tool was refused something that is not allowed."),
    Code("ORC704", "expression failed", "An expression could not be evaluated with the values of this run."),
    Code("ORC705", "result not JSON", "The tool returned something that is not JSON data."),
    Code("ORC706", "HTTP error", "The server answered with an error status, or not at all."),
    Code("ORC707", "command failed", "A process ended with an exit status other than 0."),
    Code("ORC708", "invalid parameter", "A parameter's value, known only now, is not what the action asks for."),
    Code("ORC709", "file error", "A file could not be read or written."),
    Code("ORC710", "bad input to a tool", "The data given to the tool cannot be processed as asked."),
    # --- 8xx: runs and the store
    Code("ORC801", "run not found", "No run has this id, or more than one begins with this prefix."),
    Code("ORC802", "run id taken", "There is already a run with this id."),
    Code("ORC803", "run owned by another process", "Another live process is executing this run."),
    Code("ORC804", "run not resumable", "The run has ended for good, or cannot go on as it is."),
    Code("ORC805", "run failed", "A step failed and its policy was to end the run."),
    Code("ORC806", "run cancelled", "Somebody cancelled the run."),
    Code("ORC807", "run paused", "The run is paused, so it has no result yet."),
    Code("ORC808", "run interrupted", "The process that executed the run ended before the run did; resume goes on."),
    Code("ORC811", "store unavailable", "The database of runs cannot be opened or used."),
    Code("ORC812", "store locked", "Another program holds the database for too long."),
    Code("ORC813", "foreign database", "The file is no database of runs."),
    Code("ORC814", "disk full", "The store cannot write; what was recorded before is intact."),
    Code("ORC815", "lease lost", "Another process took the run over while this one was away."),
    Code("ORC816", "store of a newer version", "The database was written by a newer Orchestrator."),
    # --- 9xx: installation and configuration
    Code("ORC901", "missing extra", "An optional part is not installed."),
    Code("ORC902", "wrong configuration", "`orchestrator.toml` or an option is wrong."),
    Code("ORC903", "tools that cannot be loaded", "A module named as a source of tools cannot be imported."),
    Code("ORC904", "wrong tool definition", "A function cannot be a tool as it is written."),
    Code("ORC999", "internal error", "A mistake of ours. Please report it."),
)

CODES = {entry.code: entry for entry in _TABLE}
