"""The reference page of the tools, generated from their contract."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.distribution import install_command
from orchestrator.expressions.types.value_types import describe_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.tools.contract import Action, Parameter, Tool


def tools_markdown(tools: Iterable[Tool]) -> str:
    """Return a Markdown page with every action of the tools: parameters, result, example."""
    return "# Tools\n\n" + "\n".join(_tool(tool) for tool in tools)


def _tool(tool: Tool) -> str:
    lines = [f"## `{tool.name}`", "", tool.description, ""]
    if tool.only_action is not None:
        lines += [f"It has a single action, `{tool.only_action.name}`, so a step needs no `action:`.", ""]
    return "\n".join(lines + [_action(tool, action) for action in tool.actions.values()])


def _action(tool: Tool, action: Action) -> str:
    lines = [f"### `{tool.name}.{action.name}`", "", action.description, ""]
    for extra in action.requires:
        lines += [f"Requires the extra `{extra}`: `{install_command(extra)}`.", ""]
    if action.parameters:
        lines += ["| parameter | type | default | |", "| --- | --- | --- | --- |"]
        lines += [_parameter(parameter) for parameter in action.parameters.values()]
        lines.append("")
    if action.accepts_extra:
        lines += ["Other parameters are passed on unchanged.", ""]
    lines += [*_result(action), ""]
    if action.example:
        lines += ["```yaml", action.example, "```", ""]
    return "\n".join(lines)


def _parameter(parameter: Parameter) -> str:
    default = "required" if parameter.required else f"`{json.dumps(parameter.default, ensure_ascii=False)}`"
    cells = (f"`{parameter.name}`", describe_type(parameter.type), default, parameter.description)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _result(action: Action) -> list[str]:
    returns = action.returns
    if returns.kind != "object" or not returns.properties:
        return [f"The result is {describe_type(returns)}."]
    lines = ["Fields of the result:", ""]
    lines += [
        f"- `{name}`: {describe_type(kind)}{_mark(name, action)}{f'. {kind.description}' if kind.description else ''}"
        for name, kind in returns.properties.items()
    ]
    return lines


def _mark(name: str, action: Action) -> str:
    return " (the value of `{{ step }}`)" if name == action.primary else ""
