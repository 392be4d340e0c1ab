"""The inputs of a run: bound to their declarations, checked all at once, and fixed when the run is created."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import InputError
from orchestrator.language.spec.input_values import fill_defaults, input_problems, parse_input_text
from orchestrator.remedies import GiveInput, Remedy
from orchestrator.runtime.values.redaction import Redactor
from orchestrator.text.representation import PartlyShown
from orchestrator.text.words import quoted_list, shorten
from orchestrator.tools.functions.results import NotJson, json_result

if TYPE_CHECKING:
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.tools.sandbox.permissions import Permissions


class InputProblem(Struct, frozen=True):
    """One thing that is wrong with the inputs of a run."""

    code: str
    message: str
    remedies: Sequence[Remedy] = ()
    help: str = ""


class Bound(PartlyShown, frozen=True):
    """The inputs of one run: every declared name with its value, and apart from that those that are secret."""

    hidden: ClassVar = ("values", "secrets")  # `values` has the secret ones too

    values: Mapping[str, Any]
    secrets: Mapping[str, Any] = field(default_factory=dict)

    def recorded(self, redactor: Redactor) -> dict[str, Any]:
        """Return the inputs as the journal keeps them: a mark stands for each secret."""
        return {
            name: redactor.mark(name) if name in self.secrets else redactor.scrub(value)
            for name, value in self.values.items()
        }


def bind(
    specs: Mapping[str, InputSpec],
    given: Mapping[str, Any],
    *,
    permissions: Permissions,
    environment: Mapping[str, str] | None = None,
) -> Bound:
    """Fit the given values to the declared inputs.

    A value that is not given comes from the environment variable that the input names, else from its default; an
    input that is not required and has neither is null.

    Raises:
        InputError: With one problem for each thing that is wrong: ORC601 missing, ORC602 unknown, ORC603 invalid.
    """
    environment = os.environ if environment is None else environment
    problems = [InputProblem(codes.UNKNOWN_INPUT, _unknown(name, specs)) for name in given if name not in specs]
    values: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    for name, spec in specs.items():
        found, value, faults = _value(name, spec, given, environment)
        if found and not faults:
            faults = [] if value is None and not spec.required else _faults(name, spec, value, permissions)
        if found:
            problems.extend(_shown(faults, spec, name, value, _variable(name, spec, given, environment)))
            value = value if faults else fill_defaults(spec, value)
        elif spec.required:
            about = f" ({spec.description})" if spec.description else ""
            message = f"`{name}`{about} is required"
            problems.append(InputProblem(codes.MISSING_INPUT, message, [_how_to_give(name, spec)]))
        values[name] = value
        if spec.secret and value is not None:
            secrets[name] = value
    if problems:
        raise input_error(problems, specs)
    return Bound(values, secrets)


def rebind(
    specs: Mapping[str, InputSpec],
    recorded: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    permissions: Permissions,
    environment: Mapping[str, str] | None = None,
    fixed: bool = True,
) -> Bound:
    """Return the inputs of a run that is resumed: as recorded, with the secrets given again or from the environment.

    An input that an edited pipeline has in addition is bound as that of a new run. Without `fixed`, as in a run that
    begins with another one's results, all that is given counts.

    Raises:
        InputError: ORC604 for a secret that is nowhere to be found; ORC603 for another input that is given; ORC810 for
            one that the run cannot have, or whose recorded value is none for the edited pipeline.
    """
    environment = os.environ if environment is None else environment
    problems: list[InputProblem] = []
    values: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    for name in given:
        if name not in specs:
            problems.append(InputProblem(codes.UNKNOWN_INPUT, _unknown(name, specs)))
        elif fixed and name in recorded and not specs[name].secret and plain(given[name]) != recorded[name]:
            message = f"`{name}` is fixed once the run is created; only secrets can be given again"
            problems.append(InputProblem(codes.INVALID_INPUT, message))
    for name, spec in specs.items():
        is_new = name not in recorded or (name in given and not fixed and not spec.secret)
        if not is_new and not (spec.secret and recorded[name] is not None):
            values[name] = recorded[name]
            unfit = [] if values[name] is None and not spec.required else input_problems(spec, values[name], name)
            problems.extend(
                InputProblem(codes.INCOMPATIBLE_PIPELINE, f"the recorded input does not fit: {fault}")
                for fault in unfit
            )
            continue
        found, value, faults = _value(name, spec, given, environment)
        if found and not faults:
            faults = [] if value is None and not spec.required else _faults(name, spec, value, permissions)
        if not is_new and (not found or faults):
            message = f"`{name}` is a secret and must be given again"
            how = _how_to_give(name, spec, again=True)
            problems.append(InputProblem(codes.SECRET_REQUIRED_AGAIN, message, [how]))
        elif faults:
            problems.extend(_shown(faults, spec, name, value, _variable(name, spec, given, environment)))
        elif not found and spec.required:
            message = f"`{name}` is required, and the run was created without it"
            how = _how_to_give(name, spec, again=True)
            problems.append(InputProblem(codes.INCOMPATIBLE_PIPELINE, message, [how]))
        values[name] = value if faults or not found else fill_defaults(spec, value)
        if spec.secret and value is not None:
            secrets[name] = value
    if problems:
        raise input_error(problems, specs)
    return Bound(values, secrets)


def _value(
    name: str, spec: InputSpec, given: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[bool, Any, list[InputProblem]]:
    """Find a value: whether there is one, the value, and what is wrong with how it is written."""
    if name in given:
        try:
            return True, json_result(given[name], f"`{name}`"), []
        except NotJson as error:
            return True, None, [_invalid(str(error).replace("; return ", "; give ", 1))]
    variable = _variable(name, spec, given, environment)
    if variable is not None:
        text = environment[variable]
        try:
            return True, parse_input_text(spec, text), []
        except ValueError as error:
            return True, text, [_invalid(str(error))]
    if spec.has_default:
        return True, spec.default, []
    return False, None, []


def _variable(name: str, spec: InputSpec, given: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """Return the environment variable that the value of an input comes from; None if it comes from elsewhere."""
    variable = spec.default_from_env
    return variable if variable and name not in given and variable in environment else None


def _faults(name: str, spec: InputSpec, value: Any, permissions: Permissions) -> list[InputProblem]:
    faults = [_invalid(fault) for fault in input_problems(spec, value, name)]
    if faults or spec.type != "file" or not isinstance(value, str):
        return faults
    path = Path(permissions.directory, value)
    refusal = permissions.check_read(path)
    if refusal is not None:
        message = f"`{name}` cannot be read: {refusal.message}"
        return [InputProblem(codes.INVALID_INPUT, message, refusal.remedies, refusal.help)]
    try:
        is_directory = S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return [_invalid(f"`{name}` names a file that does not exist: `{value}`")]
    except (OSError, ValueError) as error:  # too long, not allowed to look, not a path at all
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not a path"
        return [_invalid(f"`{name}` names a file that cannot be read: `{shorten(value)}` ({reason.lower()})")]
    return [_invalid(f"`{name}` must be a file, but `{value}` is a directory")] if is_directory else []


def _invalid(message: str) -> InputProblem:
    return InputProblem(codes.INVALID_INPUT, message)


def _shown(
    faults: Sequence[InputProblem], spec: InputSpec, name: str, value: Any, variable: str | None
) -> list[InputProblem]:
    """Return problems without a value that is secret: their messages quote it, and their remedies may name it.

    A value from an environment variable may be secret even if the pipeline does not say so, and a pipeline can name any
    variable. Nothing is said about it, not even its length.
    """
    if faults and variable is not None:
        kind = f" (type `{spec.type}`)" if spec.type else ""
        message = f"`{name}`: the value of the environment variable `{variable}` does not fit the input{kind}"
        return [InputProblem(codes.INVALID_INPUT, message, help="the value of a variable is never shown")]
    if spec.secret:
        return [_invalid(Redactor({name: value}, "hidden").text(fault.message)) for fault in faults]
    return [*faults]


def plain(value: Any) -> Any:
    """Return the JSON data that a Python value stands for; the value itself if it stands for none."""
    try:
        return json_result(value)
    except NotJson:
        return value


def _unknown(name: str, specs: Mapping[str, InputSpec]) -> str:
    near = suggest(name, specs)
    if near is not None:
        return f"unknown input `{name}`; did you mean `{near}`?"
    known = quoted_list(specs)
    return f"unknown input `{name}`; the pipeline takes {known or 'no inputs'}"


def _how_to_give(name: str, spec: InputSpec, *, again: bool = False) -> GiveInput:
    return GiveInput(name, again, spec.default_from_env or "")


def input_error(problems: Sequence[InputProblem], specs: Mapping[str, InputSpec]) -> InputError:
    """Return the one error that names every problem."""
    texts = [problem.message for problem in problems]
    message = (
        texts[0] if len(texts) == 1 else f"{len(texts)} inputs are invalid:\n" + "\n".join(f"  - {t}" for t in texts)
    )
    known = ", ".join(f"`{name}` ({spec.type or 'any value'})" for name, spec in specs.items())
    help = f"the inputs are {known}" if known else "the pipeline takes no inputs"
    if all(problem.code == codes.SECRET_REQUIRED_AGAIN for problem in problems):
        help = "secrets are never stored with a run; steps that succeeded are not run again"
    help = "; ".join(dict.fromkeys([help, *(problem.help for problem in problems if problem.help)]))
    remedies = dict.fromkeys(remedy for problem in problems for remedy in problem.remedies)
    return InputError(message, problems=texts, code=problems[0].code, help=help, remedies=[*remedies])
