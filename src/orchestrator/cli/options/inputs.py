"""Inputs from the command line: `-i name=value` and `--inputs FILE`, read by the types that the pipeline declares."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.config.project_file import project_directory
from orchestrator.errors import InputError
from orchestrator.language.spec.input_values import parse_input_text
from orchestrator.runtime.values.inputs import InputProblem, input_error
from orchestrator.runtime.values.redaction import Redactor
from orchestrator.text.content import NotText, decode_text, read_content
from orchestrator.text.json_text import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.api.interfaces import AnyRun
    from orchestrator.language.spec.inputs import InputSpec

_MAX_BYTES: Final = 64 * 1024 * 1024


def read_inputs(specs: Mapping[str, InputSpec], pairs: Sequence[str], source: str | None) -> dict[str, Any]:
    """Return the inputs of one run, read by their declarations; `-i` wins over the file.

    Raises:
        InputError: A pair without `=`, a text that is not of the declared type, or an unreadable file.
    """
    values = read_file(source) if source else {}
    problems = []
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            message = f"`-i {pair}` has no `=`; write it as `-i name=value`"
            problems.append(InputProblem(codes.INVALID_INPUT, message))
            continue
        spec = specs.get(name)
        if spec is None:
            values[name] = text  # named as unknown, with all other problems, when the inputs are bound
            continue
        try:
            value = parse_input_text(spec, text)
            values[name] = _from_here(value) if spec.type == "file" else value
        except ValueError as error:
            hide = Redactor({name: text} if spec.secret else {}, "hidden")
            message = hide.text(f"`{name}` {str(error).removeprefix('it ')}")
            problems.append(InputProblem(codes.INVALID_INPUT, message))
    if problems:
        raise input_error(problems, specs)
    return values


def _from_here(path: Any) -> Any:
    """Return the path of a file as the project names it: on a command line it starts in the working directory."""
    project, here = project_directory(), Path.cwd()
    if not isinstance(path, str) or project == here or Path(path).is_absolute():
        return path
    return os.path.relpath(here / path, project)


def declared(run: AnyRun) -> dict[str, InputSpec]:
    """Return the inputs that the pipeline of a run declares, as it was recorded."""
    from orchestrator.language.spec.inputs import InputSpec

    return {name: InputSpec.model_validate(spec) for name, spec in run.record().plan["inputs"].items()}


def read_file(source: str) -> dict[str, Any]:
    """Read a mapping of inputs from a JSON or YAML file, or from stdin when `source` is `-`.

    Raises:
        InputError: The file cannot be read, or does not hold a mapping.
    """
    name = _name(source)
    values = parse(read_text(source, what="inputs"), name)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(
            f"{name} must hold a mapping from input names to values", help='for example {"topic": "solar cells"}'
        )
    return {str(key): value for key, value in values.items()}


def read_text(source: str, *, what: str) -> str:
    """Read the text of a file, or of stdin when `source` is `-`. `what` it holds is named in errors.

    Raises:
        InputError: The file cannot be read.
    """
    name = _name(source)
    try:
        return _read_stdin() if source == "-" else decode_text(read_content(source, _MAX_BYTES))
    except OSError as error:
        if error.errno == errno.EFBIG:
            limit = f"{_MAX_BYTES // (1024 * 1024)} MiB"
            raise InputError(
                f"{name} is larger than {limit}", help="put large data into a file that a step reads"
            ) from error
        raise InputError(
            f"the {what} file {name} cannot be read: {(error.strerror or str(error)).lower()}",
            help="name a file that can be read, or `-` for stdin",
        ) from error
    except NotText as error:
        raise InputError(f"the {what} file {name} cannot be read: {error}", help="save it as UTF-8") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the {what} file {name} is not UTF-8 text", help="save it as UTF-8") from error
    except ValueError as error:  # it has a NUL or half a character in it
        raise InputError(f"no file can have the name {name}", help="name a file that can be read") from error


def _name(source: str) -> str:
    return "stdin" if source == "-" else f"`{source}`"


def _read_stdin() -> str:
    text = sys.stdin.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return text


def parse(text: str, name: str) -> Any:
    """Parse JSON, or else YAML by the rules of pipeline files (`no` is a text there, as in YAML 1.2)."""
    text = text.removeprefix("\ufeff")
    try:
        return read_json(text) if text.strip() else None
    except ValueError:
        pass
    from orchestrator.diagnostics import Source
    from orchestrator.language.yaml.nodes import plain_data
    from orchestrator.language.yaml.reader import read_tree

    reading = read_tree(Source.of(name.strip("`"), text))
    errors = [problem for problem in reading.diagnostics if problem.severity == "error"]
    if errors:
        first = errors[0]
        where = f"line {first.span.start.line}, column {first.span.start.column}"
        raise InputError(f"{name} is neither JSON nor YAML: {first.message} ({where})", help=first.help)
    return None if reading.root is None else plain_data(reading.root)


def as_json(values: Mapping[str, Any]) -> str:
    """Return inputs as the text of a JSON file."""
    return json.dumps(dict(values))
