"""Query, merge and validate JSON data."""

from typing import Annotated, Any, Literal, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import describe_value, plural, quoted_list, shorten
from orchestrator.tools.functions.definition import tool


class QueryResult(TypedDict):
    """What the path selects: one value, or a list if the path can select several."""

    result: Annotated[Any, "The selected value, or a list of values if the path can select several."]
    found: Annotated[int, "The number of selected values."]


class Violation(TypedDict):
    """One place where the data do not match the schema."""

    path: Annotated[str, "The place in the data."]
    message: Annotated[str, "What is wrong there."]


class ValidateResult(TypedDict):
    """Whether the data match the schema, and where they do not."""

    valid: Annotated[bool, "Whether the data match the schema."]
    errors: Annotated[list[Violation], "The places where they do not."]


@tool(primary="result", effects="none")
def query(
    data: Annotated[Any, "The data to query."],
    path: Annotated[str, "The JSONPath, such as `$.items[0].name`, `items[*].tags[-1]` or `rows[?@.price < 10]`."],
    required: Annotated[bool, "Fail if a path to a single value selects nothing; if false, the result is null."] = True,
) -> QueryResult:
    """Select values from JSON data with a JSONPath (RFC 9535).

    Names, `[0]`, `[-1]`, `[2:5]`, `[*]`, `["odd name"]`, `..name` at any depth, and filters: `[?@.price < 10]`. The
    leading `$` is optional.

    Example:
        - id: names
          tool: json
          action: query
          parameters:
            data: "{{ fetch.json }}"
            path: items[*].name
    """
    from orchestrator.tools.json_path import PathError, QueryTooLarge, parse_path  # its library is slow to load

    try:
        parsed = parse_path(path)
    except PathError as error:
        help = 'use names, `[0]`, `[*]`, `[2:5]`, `["odd name"]`, or a filter such as `[?@.price < 10]`'
        message = f"invalid path `{shorten(path)}`: {error}"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False) from error
    try:
        values = parsed.find(data)
    except QueryTooLarge as error:
        message = f"`{shorten(path)}`: {error}"
        help = "query a smaller part of the data"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False) from error
    if not parsed.is_singular:
        return {"result": values, "found": len(values)}
    if not values and required:
        raise StepError(
            f"`{path}` selects no value: {_first_missing(data, parsed.keys)}",
            code=codes.INVALID_TOOL_INPUT,
            help="check the path, or set `required: false` to get null",
            retryable=False,
        )
    return {"result": values[0] if values else None, "found": len(values)}


def _first_missing(data: Any, keys: tuple[str | int, ...]) -> str:
    """Describe the first key of a path that the data do not have."""
    value = data
    for key in keys:
        match value:
            case dict() if key in value:
                value = value[key]
            case list() if isinstance(key, int) and -len(value) <= key < len(value):
                value = value[key]
            case {}:
                known = quoted_list(value, most=8)
                return (
                    f"the object has no key `{key}`, only {known}" if known else f"`{key}` is read from an empty object"
                )
            case list():
                return f"`{key}` is not an index of a list of {plural(len(value), 'item')}"
            case _:
                return f"`{key}` is read from {describe_value(value)}, which is not an object or a list"
    return "the path ends early"


@tool(effects="none")
def merge(
    values: Annotated[list[dict[str, Any]], "The objects. Later ones override earlier ones."],
    deep: Annotated[bool, "Whether nested objects are merged instead of replaced."] = True,
    lists: Annotated[
        Literal["replace", "append"], "Whether a later list replaces an earlier one or is appended to it."
    ] = "replace",
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


@tool(primary="valid", effects="none")
def validate(
    data: Annotated[Any, "The data to validate."],
    schema: Annotated[
        dict[str, Any] | bool,
        "A JSON Schema: 2020-12, or the dialect named by its `$schema`. `format` is checked unless `$schema` names "
        "2019-09 or 2020-12, where it is only an annotation.",
    ],
    check: Annotated[bool, "Fail if the data do not match the schema."] = True,
) -> ValidateResult:
    """Validate data against a JSON Schema. Remote references are not fetched.

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
        message = f"invalid schema at `{place}`: {fault.message}"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help=fault.help, retryable=False)
    try:
        found = violations(schema, data)
    except (ReferenceMissing, ValidationTooLong) as error:
        raise StepError(str(error), code=codes.INVALID_TOOL_INPUT, retryable=False) from error
    errors: list[Violation] = [{"path": error.json_path, "message": error.message[:500]} for error in found[:100]]
    if check and errors:
        lines = "\n".join(f"  {error['path']}: {error['message']}" for error in errors[:10])
        raise StepError(f"the data do not match the schema:\n{lines}", code=codes.INVALID_TOOL_INPUT, retryable=False)
    return {"valid": not errors, "errors": errors}
