"""The reference of the Python API, written from the signatures and docstrings of `orchestrator.__all__`."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from textwrap import dedent
from typing import Any

from msgspec import NODEFAULT, Struct

import orchestrator

_REQUIRED = object()
_SECTION = re.compile(r"(Args|Returns|Raises|Example):\s*")
_ENTRY = re.compile(r"([*\w, ]+): (.*)")

GROUPS = {
    "Functions": ("check", "compile", "connect", "default", "fork", "get_run", "list_runs", "resume", "retry", "tool"),
    "Pipelines and runs": ("Orchestrator", "Pipeline", "Report", "Result", "Run", "RunStatus", "StepResult"),
    "Runs of a server": ("Client", "RemotePipeline", "RemoteRun", "AnyOrchestrator", "AnyPipeline", "AnyRun"),
    "Models": ("Budget", "Quality", "Finding", "Judgement"),
    "Batches": ("AsyncBatchResults", "BatchResults", "RowResult"),
    "Data types": (
        "Changes",
        "Diagnostic",
        "Event",
        "LockedPlace",
        "LockUpdate",
        "Reason",
        "StepChange",
        "Why",
    ),
    "Tools": ("Permissions", "Registry", "Tool", "ToolContext", "ToolExecutor"),
}

MADE_BY = {
    "Pipeline": "Returned by `compile`. Attributes: `id`, `name`, `description`, and `diagnostics`, the warnings.",
    "LockUpdate": "Returned by `Orchestrator.lock`.",
    "LockedPlace": "An item of `LockUpdate.values`.",
    "Client": "Returned by `connect`.",
    "RemotePipeline": "Returned by `Client.compile`.",
    "RemoteRun": "Returned by `RemotePipeline.start`, `Client.get_run`, `resume`, `fork` and `retry`. Attribute: `id`.",
    "Run": "Returned by `Pipeline.start`, `get_run`, `resume`, `fork` and `retry`. Attribute: `id`.",
}
"""Classes that users do not instantiate."""


def api_page() -> str:
    """Return the page."""
    errors = [name for name in orchestrator.__all__ if _is_error(getattr(orchestrator, name))]
    named = {name for names in GROUPS.values() for name in names} | set(errors) | {"__version__"}
    if left := set(orchestrator.__all__) ^ named:
        raise ValueError(f"docs/api_page.py and orchestrator.__all__ differ in {sorted(left)}")
    lines = [
        "# Python API",
        "",
        "Import the package as `import orchestrator as orc`. A sync method that waits for a run has an async twin of",
        "the same name with the prefix `a` (that of `wait` is `wait_async`). Names not listed here are private.",
    ]
    for title, names in GROUPS.items():
        lines += ["", f"## {title}"]
        for name in names:
            lines += ["", *_entry(name, getattr(orchestrator, name))]
    lines += ["", "## Errors", "", *_error_tree()]
    for name in errors:
        lines += ["", *_entry(name, getattr(orchestrator, name))]
    return "\n".join(lines)


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _entry(name: str, value: Any) -> Iterator[str]:
    yield f"### {name}"
    if inspect.isfunction(value):
        yield ""
        yield from _signature(name, value)
        yield from _documentation(value)
        return
    bases = [base.__name__ for base in value.__bases__ if base.__name__ in orchestrator.__all__]
    if issubclass(value, Struct) or dataclasses.is_dataclass(value):
        yield ""
        yield from _fields(name, value)
    elif _is_error(value):
        for base in bases:
            yield from ["", f"*A subclass of `{base}`.*"]
    elif name in MADE_BY:
        yield from ["", MADE_BY[name]]
    elif "__init__" in vars(value) and not getattr(value, "_is_protocol", False):
        yield ""
        yield from _signature(name, value.__init__)
    yield from _documentation(value)
    if not _is_error(value):
        for key, member in vars(value).items():
            if not key.startswith("_") and not (getattr(member, "__doc__", None) or "").startswith("Internal: "):
                yield from _member(name, key, member)


def _member(owner: str, name: str, member: Any) -> Iterator[str]:
    if isinstance(member, property):
        annotation = inspect.signature(member.fget).return_annotation if member.fget else None
        yield from ["", f"#### {owner}.{name}", "", "```python", f"{name}: {_text(annotation)}", "```"]
        yield from _documentation(member)
    elif isinstance(member, classmethod) or inspect.isfunction(member):
        function = member.__func__ if isinstance(member, classmethod) else member
        yield from ["", f"#### {owner}.{name}", ""]
        yield from _signature(f"{owner}.{name}" if isinstance(member, classmethod) else name, function)
        yield from _documentation(function)


def _signature(name: str, function: Callable[..., Any]) -> Iterator[str]:
    """The signature as it would be called: without `self`, one parameter a line where it is long."""
    signature = inspect.signature(function)
    parts = []
    star = False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
        star = star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{prefix}{parameter.name}: {_text(parameter.annotation)}{default}")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            parts.append("/")
    end = "" if function.__name__ == "__init__" else f" -> {_text(signature.return_annotation)}"
    start = "async " if inspect.iscoroutinefunction(function) else ""
    line = f"{start}{name}({', '.join(parts)}){end}"
    yield "```python"
    if len(line) <= 100:
        yield line
    else:
        yield f"{start}{name}("
        yield from (f"    {part}," for part in parts)
        yield f"){end}"
    yield "```"


def _fields(name: str, value: Any) -> Iterator[str]:
    yield "```python"
    yield f"{name}:"
    for field, annotation, default in _declared(value):
        if not field.startswith("_"):
            yield f"    {field}: {_text(annotation)}" + ("" if default is _REQUIRED else f" = {default!r}")
    yield "```"


def _declared(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """The fields of a struct or a dataclass: name, annotation and default value."""
    if not issubclass(value, Struct):
        for field in dataclasses.fields(value):
            made = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            yield field.name, field.type, _REQUIRED if made is dataclasses.MISSING else made
        return
    annotations = {
        name: each for base in reversed(value.__mro__) for name, each in inspect.get_annotations(base).items()
    }
    names, defaults = value.__struct_fields__, value.__struct_defaults__
    for name, default in zip(names, [NODEFAULT] * (len(names) - len(defaults)) + [*defaults], strict=True):
        made = default.factory() if type(default).__name__ == "Factory" else default
        yield name, annotations[name], _REQUIRED if made is NODEFAULT else made


def _text(annotation: Any) -> str:
    """An annotation as it is written in the code."""
    if annotation is inspect.Signature.empty:
        return "Any"
    return annotation.strip("'\"") if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _documentation(value: Any) -> Iterator[str]:
    """A docstring of the Google convention as Markdown."""
    section = ""
    body: list[str] = []
    for line in [*(inspect.getdoc(value) or "").splitlines(), "Example:"]:
        title = _SECTION.fullmatch(line)
        if title is None:
            body.append(line)
            continue
        yield from _section(section, body)
        section, body = title[1], []


def _section(title: str, body: list[str]) -> Iterator[str]:
    text = dedent("\n".join(body)).strip()
    if not text:
        return
    yield ""
    if title in ("Args", "Raises"):
        yield {"Args": "Parameters:", "Raises": "Raises:"}[title]
        yield ""
        for line in text.splitlines():
            entry = None if line.startswith(" ") else _ENTRY.fullmatch(line)
            if entry is None:
                yield f"  {line.strip()}"
            else:
                names = ", ".join(f"`{name.strip()}`" for name in entry[1].split(","))
                yield f"- {names}: {entry[2]}"
    elif title == "Example":
        yield from ["```pycon", *text.splitlines(), "```"]
    else:
        yield from text.splitlines()


def _error_tree() -> Iterator[str]:
    """The tree of exceptions, as their module draws it."""
    from orchestrator import errors

    drawn = [line for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    yield from ["```text", *(line.removeprefix("    ").rstrip() for line in drawn), "```"]
