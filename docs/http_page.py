"""The reference page of the HTTP API, and its description in OpenAPI, both generated from its routes."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestrator.api.orchestrator import Orchestrator
from orchestrator.config.tables.serve import ServeTable
from orchestrator.server.app import create_api
from orchestrator.server.service import Service

_INTRODUCTION = """\
# HTTP API

The API of [`orchestrator serve`](../guide/server.md), described in full by [OpenAPI 3.1](openapi.json), which
the server itself returns at `/v1/openapi.json`. Bodies are JSON; an unknown field is an error.

Send a token with each request: `Authorization: Bearer TOKEN`. Every error is a problem document (RFC 9457,
`application/problem+json`) with a stable [code](diagnostics/index.md), a message, a `help`, and `remedies`: what can be
done, with the request that does it.
"""


def openapi() -> dict[str, Any]:
    """Return the description of the API."""
    with TemporaryDirectory() as name, Orchestrator(directory=Path(name)) as orchestrator:
        return create_api(Service(orchestrator, ServeTable())).openapi()


def openapi_json() -> str:
    """Return the description of the API as the file that is kept."""
    return json.dumps(openapi(), indent=1, ensure_ascii=False)


def http_page() -> str:
    """Return the reference page."""
    described = openapi()
    schemas = described["components"]["schemas"]
    lines = [_INTRODUCTION]
    tag = ""
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                lines += [f"## {tag.capitalize()}", ""]
            lines += _operation(f"{method.upper()} {path}", operation, schemas)
    shown = [name for name in schemas if name.endswith(("View", "Page", "List", "Run", "Summary", "Activity"))]
    lines += ["## Objects", ""]
    for name in sorted(shown):
        lines += [f"### {name}", "", schemas[name].get("description", ""), "", *_fields(schemas[name])]
    return "\n".join(lines)


def _operation(title: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield from (f"### `{title}`", "", *operation.get("description", "").splitlines(), "")
    parameters = [each for each in operation.get("parameters", ()) if each["in"] != "cookie"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    rows = [_row(each["name"], each["in"], each["schema"], each.get("description", "")) for each in parameters]
    for name, field in _properties(body, schemas):
        rows.append(_row(name, "body", field, field.get("description", "")))
    if rows:
        yield from ("| parameter | in | type | meaning |", "| --- | --- | --- | --- |", *rows, "")
    for status, response in operation["responses"].items():
        if status.isdecimal() and status != "422":
            kinds = [
                _type(kind.get("schema", {})) or f"`{media}`" for media, kind in response.get("content", {}).items()
            ]
            yield f"- {status}: {', '.join(kinds) or response['description']}"
    yield ""


def _properties(body: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for option in (body, *body.get("anyOf", ())):
        if "$ref" in option:
            yield from schemas[_name(option["$ref"])].get("properties", {}).items()


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    yield from ("| field | type | meaning |", "| --- | --- | --- |")
    for name, field in schema.get("properties", {}).items():
        yield f"| `{name}` | {_type(field)} | {field.get('description', '')} |"
    yield ""


def _row(name: str, where: str, schema: dict[str, Any], meaning: str) -> str:
    return f"| `{name}` | {where} | {_type(schema)} | {meaning} |"


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a value in words."""
    if "$ref" in schema:
        name = _name(schema["$ref"])
        return f"[{name}](#{name.lower()})" if not name.endswith("Body") else name
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(option) for option in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'any'}"
    return str(schema.get("type", "any" if schema == {} or "title" in schema else ""))


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]
