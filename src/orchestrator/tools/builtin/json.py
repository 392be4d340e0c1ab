"""Look into, join and check JSON data."""

from typing import Annotated, Any, Literal, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import quoted_list
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.tables.json_path import PathError, find, is_single, parse_path


class QueryResult(TypedDict):
    """What the path leads to: one value, or a list where the path has `[*]` or a range. `found` counts the values."""

    result: Annotated[Any, "What the path leads to: one value, or a list where the path has `[*]` or a range."]
    found: Annotated[int, "The number of values that were found."]


class Violation(TypedDict):
    """One place of the data that does not satisfy the schema."""

    path: Annotated[str, "The place in the data."]
    message: Annotated[str, "What is wrong there."]


class ValidateResult(TypedDict):
    """Whether the data satisfy the schema, and where they do not."""

    valid: Annotated[bool, "Whether the data satisfy the schema."]
    errors: Annotated[list[Violation], "The places that do not."]


@tool(primary="result")
def query(
    data: Annotated[Any, "The data to look into."],
    path: Annotated[str, "The path, such as `items[0].name`, `$.items[*].tags[-1]` or `rows[:10]`."],
    required: Annotated[bool, "Whether it is a failure when the path leads nowhere; else the result is null."] = True,
) -> QueryResult:
    """Read from JSON data by a path: names, `[0]`, `[-1]`, `[2:5]`, `[*]` and `["odd name"]`; a leading `$` may stand.

    Example:
        - id: names
          tool: json
          action: query
          parameters:
            data: "{{ fetch.json }}"
            path: items[*].name
    """
    try:
        steps = parse_path(path)
    except PathError as error:
        help = 'use names, `[0]`, `[*]`, `[2:5]` and `["odd name"]`; for conditions, the filters `selectattr` and `map`'
        raise StepError(f"wrong path: {error}", code=codes.INVALID_TOOL_INPUT, help=help, retryable=False) from error
    values = find(data, steps)
    if not is_single(steps):
        return {"result": values, "found": len(values)}
    if not values and required:
        raise StepError(
            f"`{path}` leads nowhere{_nearest(data, steps)}",
            code=codes.INVALID_TOOL_INPUT,
            help="check the path, or give `required: false` to get null",
            retryable=False,
        )
    return {"result": values[0] if values else None, "found": len(values)}


def _nearest(data: Any, steps: tuple[Any, ...]) -> str:
    """Say what there is at the first step that leads nowhere."""
    for count, step in enumerate(steps):
        if find(data, steps[: count + 1]):
            continue
        value = find(data, steps[:count])[0]
        if isinstance(value, dict):
            keys = quoted_list(list(value)[:8])
            return f": there is no `{step}`; there are {keys}" if keys else f": there is no `{step}` in an empty object"
        if isinstance(value, list):
            return f": there is no `{step}` in a list of {len(value)}"
        return f": `{step}` is looked for in a single value, not in an object or a list"
    return ""


@tool
def merge(
    values: Annotated[list[dict[str, Any]], "The objects; a later one wins over an earlier one."],
    deep: Annotated[bool, "Whether objects inside are merged too, instead of replaced."] = True,
    lists: Annotated[Literal["replace", "append"], "What becomes of two lists at one place."] = "replace",
) -> dict[str, Any]:
    """Merge objects into one.

    Example:
        - id: settings
          tool: json
          action: merge
          parameters:
            values: ["{{ defaults }}", "{{ overrides }}"]
    """
    merged: dict[str, Any] = {}
    for value in values:
        merged = _merged(merged, value, deep, lists)
    return merged


def _merged(first: dict[str, Any], second: dict[str, Any], deep: bool, lists: str) -> dict[str, Any]:
    result = dict(first)
    for key, value in second.items():
        old = result.get(key)
        if deep and isinstance(old, dict) and isinstance(value, dict):
            result[key] = _merged(old, value, deep, lists)
        elif lists == "append" and isinstance(old, list) and isinstance(value, list):
            result[key] = old + value
        else:
            result[key] = value
    return result


@tool(primary="valid")
def validate(
    data: Annotated[Any, "The data to check."],
    schema: Annotated[
        dict[str, Any] | bool,
        "A JSON Schema: 2020-12, or the dialect that its `$schema` names. `format` is checked unless `$schema` names a "
        "dialect, 2019-09 or 2020-12, in which it is only an annotation.",
    ],
    check: Annotated[bool, "Whether data that do not satisfy the schema are a failure."] = True,
) -> ValidateResult:
    """Check data against a JSON Schema. References to other addresses are not fetched.

    Example:
        - id: checked
          tool: json
          action: validate
          parameters:
            data: "{{ extract }}"
            schema: {type: object, required: [title], properties: {title: {type: string}}}
    """
    from orchestrator.json_schema import ReferenceMissing, ValidationTooLong, faults, violations

    for fault in faults(schema):
        place = ".".join(map(str, fault.path)) or "$"
        message = f"the schema is wrong at `{place}`: {fault.message}"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help=fault.help, retryable=False)
    try:
        found = violations(schema, data)
    except (ReferenceMissing, ValidationTooLong) as error:
        raise StepError(str(error), code=codes.INVALID_TOOL_INPUT, retryable=False) from error
    errors: list[Violation] = [{"path": error.json_path, "message": error.message[:500]} for error in found[:100]]
    if check and errors:
        said = "\n".join(f"  {error['path']}: {error['message']}" for error in errors[:10])
        raise StepError(f"the data do not satisfy the schema:\n{said}", code=codes.INVALID_TOOL_INPUT, retryable=False)
    return {"valid": not errors, "errors": errors}
