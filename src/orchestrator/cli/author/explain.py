"""`explain` and `tools`: the meaning of a code; the tools with their parameters."""

from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator import codes
from orchestrator.cli.options import common
from orchestrator.distribution import install_command

if TYPE_CHECKING:
    from orchestrator.tools.contract import Action, Tool


def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code of a diagnostic or error, such as ORC301.")],
    json: common.JsonOption = False,
) -> None:
    """Explain the code of a diagnostic or error."""
    from orchestrator.cli.terminal.output import emit, emit_json
    from orchestrator.diagnostics import CODES
    from orchestrator.errors import ConfigurationError

    wanted = f"ORC{code.strip().upper().removeprefix('ORC')}"
    entry = CODES.get(wanted)
    if entry is None:
        from difflib import get_close_matches

        read_as_digits = f"ORC{wanted.removeprefix('ORC').translate(str.maketrans('OIL', '011'))}"
        about = [each for each in sorted(CODES) if code.strip().lower() in CODES[each].title.lower()]
        near = about[:3] or get_close_matches(read_as_digits, CODES, n=3)
        meant = ", ".join(f"{c} ({CODES[c].title})" for c in near)
        help = f"did you mean {meant}?" if near else "messages start with their code, such as `error[ORC301]`"
        message = f"unknown code `{wanted if wanted[3:].isdigit() else code.strip()}`"
        raise ConfigurationError(message, help=help)
    page = page_of(wanted)
    if json:
        data = {"code": entry.code, "title": entry.title, "severity": entry.severity, "explanation": entry.explanation}
        emit_json({**data, "page": page})
    else:
        emit((page or f"# {entry.code}: {entry.title}\n\n{entry.explanation}").rstrip("\n"))


def page_of(code: str) -> str | None:
    """Return the code's page, which is generated from a case that triggers it, if there is one."""
    page = resources.files("orchestrator.diagnostics").joinpath("pages", f"{code}.md")
    return page.read_text(encoding="utf-8") if page.is_file() else None


def tools(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One tool, or TOOL.ACTION, in detail.")] = None,
    json: common.JsonOption = False,
    tools: common.ToolsOption = None,
) -> None:
    """List the tools, or show one with its parameters and results."""
    from orchestrator.cli.terminal.output import emit, emit_json, table
    from orchestrator.errors import OrchestratorError

    with common.open_orchestrator(tools=tools) as orchestrator:
        registry = orchestrator.registry
        if name is None:
            found = sorted(registry, key=lambda tool: tool.name)
            if json:
                emit_json([tool_object(tool) for tool in found])
            else:
                rows = [(tool.name, ", ".join(tool.actions), first_line(tool.description)) for tool in found]
                emit(table(("TOOL", "ACTIONS", "WHAT IT DOES"), rows))
            return
        tool_name, _, action_name = name.partition(".")
        tool = registry.get(tool_name)
        if tool is None or (action_name and action_name not in tool.actions):
            from orchestrator.diagnostics import suggest

            near = suggest(tool_name, registry.names()) if tool is None else suggest(action_name, list(tool.actions))
            kind = f"tool `{tool_name}`" if tool is None else f"action `{action_name}` in tool `{tool_name}`"
            raise OrchestratorError(
                f"unknown {kind}",
                code=codes.UNKNOWN_TOOL if tool is None else codes.UNKNOWN_ACTION,
                help=f"did you mean `{near}`?" if near else "list them with: orchestrator tools",
            )
        actions = [tool.actions[action_name]] if action_name else list(tool.actions.values())
        if json:
            emit_json(tool_object(tool) if not action_name else action_object(actions[0]))
        else:
            emit(
                "\n\n".join([f"{tool.name}: {first_line(tool.description)}", *(action_text(tool, a) for a in actions)])
            )


def tool_object(tool: "Tool") -> dict[str, Any]:
    """Return a tool as JSON data."""
    actions = {name: action_object(action) for name, action in tool.actions.items()}
    return {"name": tool.name, "description": tool.description, "version": tool.version, "actions": actions}


def action_object(action: "Action") -> dict[str, Any]:
    """Return an action as JSON data, its types as JSON Schema."""
    from orchestrator.expressions import to_json_schema

    parameters = {
        p.name: {
            "schema": to_json_schema(p.type),
            "description": p.description,
            "required": p.required,
            **({} if p.required else {"default": p.default}),
        }
        for p in action.parameters.values()
    }
    return {
        "name": action.name,
        "description": action.description,
        "parameters": parameters,
        "result": to_json_schema(action.returns),
        "primary": action.primary,
        "requires": list(action.requires),
    }


def action_text(tool: "Tool", action: "Action") -> str:
    """Describe an action: its purpose, its parameters, its results."""
    from json import dumps

    from orchestrator.cli.terminal.output import table
    from orchestrator.expressions import describe_type as describe_type

    title = tool.name if action.name == tool.name else f"{tool.name}.{action.name}"
    lines = [title, *(f"  {line}".rstrip() for line in action.description.strip().split("\n"))]
    if action.parameters:
        rows = []
        for p in action.parameters.values():
            default = "required" if p.required else f"default {dumps(p.default, ensure_ascii=False, default=str)}"
            rows.append((f"  {p.name}", describe_type(p.type), default, first_line(p.description)))
        lines += ["", table(("  PARAMETER", "TYPE", "", "MEANING"), rows)]
    lines += ["", *_result(action)]
    if action.primary:
        lines.append(f"  {{{{ step }}}} stands for its `{action.primary}`")
    if action.requires:
        lines.append(f"  needs: {install_command(*action.requires)}")
    return "\n".join(lines)


def _result(action: "Action") -> list[str]:
    """Write what an action returns, with what each field of it is."""
    from orchestrator.cli.terminal.output import table
    from orchestrator.expressions import describe_type as describe_type

    returns = action.returns
    if returns.kind != "object" or not any(kind.description for kind in returns.properties.values()):
        return [f"  result: {describe_type(returns)}"]
    rows = [(f"  {name}", describe_type(kind), kind.description) for name, kind in returns.properties.items()]
    return [table(("  RESULT", "TYPE", "MEANING"), rows), ""]


def first_line(text: str) -> str:
    """Return the first line of a description."""
    return text.strip().split("\n", 1)[0]
