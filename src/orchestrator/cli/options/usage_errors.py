"""Errors of invalid command lines, with a code, a message and a help text like all errors."""

from __future__ import annotations

import enum
import os
import re
import shlex
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from orchestrator import codes
from orchestrator.cli.terminal.hints import OF_STORES
from orchestrator.errors import ConfigurationError, OrchestratorError
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

E = TypeVar("E", bound=enum.StrEnum)

_LARGEST: Final = 2**31 - 1
"""No machine, and no store, holds more of anything."""


def whole_number(option: str, *, least: int, most: int | None = None) -> Callable[[str | int], int]:
    """Return the reader of an option's value that is a whole number from `least`, and at most `most`."""
    wanted = f"a whole number from {least}" + ("" if most is None else f" to {most}")

    def read(text: str | int) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise _refused(option, wanted, text, example=str(max(10, least) if most is None else most))
        return min(number, _LARGEST)

    return read


def duration(option: str) -> Callable[[str | float], float]:
    """Return the reader of an option's value that is a duration such as `30d`, in seconds."""

    def read(text: str | float) -> float:
        from orchestrator.text.durations import parse_duration

        if isinstance(text, float):
            return text
        try:
            return parse_duration(text)
        except ValueError:
            raise _refused(option, "a duration", text, example="30d") from None

    return read


def past(option: str) -> Callable[[str | float], float]:
    """Return the reader of an option's value that is a time, or how long ago it was: seconds since the epoch."""

    def read(text: str | float) -> float:
        import time
        from datetime import datetime

        from orchestrator.text.durations import parse_duration

        if isinstance(text, float):
            return text
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            pass
        try:
            return time.time() - parse_duration(text)
        except ValueError:
            raise _refused(option, "a time, or how long ago it was", text, example="7d") from None

    return read


def future(option: str) -> Callable[[str | float], float]:
    """Return the reader of an option's value that is a time, or how long from now it is: seconds since the epoch."""

    def read(text: str | float) -> float:
        import time
        from datetime import datetime

        from orchestrator.text.durations import parse_duration

        if isinstance(text, float):
            return text
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            pass
        try:
            return time.time() + parse_duration(text)
        except ValueError:
            raise _refused(option, "a time, or how long from now it is", text, example="2h") from None

    return read


def choice_parser(option: str, choices: type[E]) -> Callable[[str], E]:
    """Return the reader of an option's value that is one of a few words."""

    def read(text: str) -> E:
        try:
            return choices(text)
        except ValueError:
            near = _near(text, choices)
            raise _refused(
                option, quoted_list(choices, last="or"), text, near=near, example=next(iter(choices))
            ) from None

    return read


def choice_metavar(choices: type[enum.StrEnum]) -> str:
    """Return the words of an option's value as its help shows them."""
    return f"[{'|'.join(choices)}]" if len(choices) > 1 else "".join(choices)


OTHER_WORDS: Final = {
    "help": "--help", "version": "--version",
    "list": "runs", "ls": "runs", "ps": "runs", "history": "runs",
    "log": "events", "logs": "events", "watch": "status",
    "start": "run", "exec": "run", "execute": "run", "batch": "map",
    "stop": "cancel", "kill": "cancel", "continue": "resume", "rerun": "retry", "restart": "retry",
    "validate": "check", "lint": "check", "compile": "check", "new": "init", "create": "init",
    "plan": "graph", "clean": "prune", "approve": "answer",
}  # fmt: skip
"""What other tools call a command, or an option, of this one."""


class CliCommand(TyperCommand):
    """A command whose help names its arguments, and not the Python types that hold them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with arguments that show no type, as `FILE` or `[FILE]`."""
        params: list[Any] = _plain(super().get_params(ctx))
        for param in params:
            if isinstance(param, TyperArgument):  # there are no options for either
                vars(param)["display_type_rich"] = lambda ctx: None
                vars(param)["_usage_display_name"] = partial(_usage, param)
        return params

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the shell lines that its errors suggest name the store or server that it was given."""
        try:
            _choose_place(ctx)
            return super().invoke(ctx)
        except OrchestratorError as error:
            from orchestrator.cli.terminal.hints import Hints

            Hints(ctx.params.get("store"), ctx.params.get("server")).complete(error)
            raise

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, or raise an error."""
        words = list(args)  # parsing consumes them
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            raise _in_our_words(error, ctx, words) from None


class PlainConversion:
    """Converts the value of a parameter: Typer does that with Pydantic, which most values do not need.

    Loading Pydantic takes a third of the time of a command that only reads runs.
    """

    def __init__(self, param: Any) -> None:
        self._param = param

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value that the command gets."""
        is_single = not param.multiple and param.nargs == 1
        if value is None:
            return None if is_single else ()
        declared = param.type_descriptor
        if is_single and declared.parameter_info.parser is not None:
            return declared.parameter_info.parser(value)
        if is_single and declared.annotation is str and isinstance(value, str):
            return value
        return type(self._param).get_runtime_param(self._param).coerce(value, param=param, ctx=ctx)


class CliGroup(TyperGroup):
    """All commands; an unknown one is an error that names the nearest."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters."""
        return _plain(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As `CliCommand.parse_args`."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            raise _in_our_words(error, ctx) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first word names."""
        if args and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            near = OTHER_WORDS.get(args[0]) or _near(args[0], known)
            help = f"did you mean `{ctx.command_path} {near}`?" if near else f"the commands are {', '.join(known)}"
            raise ConfigurationError(f"unknown command `{args[0]}`", help=help)
        return super().resolve_command(ctx, args)


def command_group(groups: Mapping[str, Mapping[str, str]]) -> type[CliGroup]:
    """Return the class of a group whose help lists its commands under these headings."""

    class Grouped(CliGroup):
        def format_commands(self, ctx: Any, formatter: Any) -> None:
            known = {name: command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))}
            width = max(map(len, known))
            for heading, names in groups.items():
                with formatter.section(heading):
                    formatter.write_dl(
                        [
                            (name.ljust(width), known[name].get_short_help_str(formatter.width - 6 - width))
                            for name in names
                            if name in known
                        ]
                    )

    return Grouped


def _choose_place(ctx: Any) -> None:
    """Leave a command one place with runs: the command line comes before the environment.

    Raises:
        ConfigurationError: Both a store and a server are given; ORC918, the command needs a store.
    """
    store, server = ctx.params.get("store"), ctx.params.get("server")
    if "server" not in ctx.params:
        url = os.environ.get("ORCHESTRATOR_SERVER")
        if url and ctx.info_name in OF_STORES and store is None:
            raise _needs_store(ctx, f"ORCHESTRATOR_SERVER names the server {url}")
        return
    if store is None or server is None:
        return
    given = {name for name in ("store", "server") if ctx.get_parameter_source(name).name == "COMMANDLINE"}
    if len(given) != 1:
        names = "`--store` and `--server`" if given else "ORCHESTRATOR_STORE and ORCHESTRATOR_SERVER"
        raise ConfigurationError(
            f"{names} are mutually exclusive: runs are in a store, or on a server", help="give only one of them"
        )
    ctx.params[({"store", "server"} - given).pop()] = None


def _needs_store(ctx: Any, reason: str) -> ConfigurationError:
    """Return the error of a command that does not work over HTTP."""
    return ConfigurationError(
        f"`{ctx.command_path}` works on a store, not on a server: {reason}",
        code=codes.NOT_OVER_HTTP,
        help="give the database with `--store URL`, on a machine that reaches it",
    )


def _plain(params: list[Any]) -> list[Any]:
    """Return parameters that convert their values by `PlainConversion`."""
    for param in params:
        vars(param)["get_runtime_param"] = partial(PlainConversion, param)
    return params


def _usage(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()) + "..." * (argument.nargs != 1)
    return name if argument.required else f"[{name}]"


def _in_our_words(error: Exception, ctx: Any, words: Iterable[str] = ()) -> Exception:
    """Return the error for what the library has found in the `words` of a command; anything else as it is.

    Its exceptions are known by their names, as it has moved them between its versions.
    """
    if getattr(error, "exit_code", None) != 2 or type(error).__name__ == "NoArgsIsHelpError":
        return error
    command: str = ctx.command_path
    params: list[Any] = ctx.command.get_params(ctx)
    manual = f"see `{command} --help`"
    given = getattr(error, "option_name", None)
    match type(error).__name__:
        case "NoSuchOption":
            if given == "--server" and ctx.info_name in OF_STORES:
                return _needs_store(ctx, "it has no option `--server`")
            known = [name for param in params if not getattr(param, "hidden", False) for name in param.opts]
            near = _near(str(given), [name for name in known if name.startswith("--")])
            help = f"did you mean `{near}`? {manual}" if near else manual
            return ConfigurationError(f"`{command}` has no option `{given}`", help=help)
        case "BadOptionUsage":
            option = next((param for param in params if given in (*param.opts, *param.secondary_opts)), None)
            if isinstance(option, TyperOption) and option.is_flag:
                return ConfigurationError(f"`{given}` takes no value", help=f"write `{given}` alone")
            word = (option and option.metavar) or "VALUE"
            return ConfigurationError(f"`{given}` needs a value", help=f"write `{given} {word}`; {manual}")
        case "MissingParameter":
            missing = error.param  # type: ignore[attr-defined]
            usage = _usage_with(ctx, words, missing, [param for param in params if param.required])
            return ConfigurationError(
                f"`{command}` needs `{_written(missing)}`", help=f"write `{command} {usage}`; {manual}"
            )
    extra = re.search(r"extra argument(?:s|\(s\))? \((.*)\)$", str(error))
    if extra and command.endswith(" keys"):  # it may well be a key, so it is not repeated
        message = "a key must not be on the command line, where other users and the shell history can see it"
        return ConfigurationError(
            message, help=f"write `{command} set PROVIDER`: it prompts for the key or reads stdin"
        )
    if extra:
        message = f"`{command}` got unexpected arguments: `{extra[1]}`"
        return ConfigurationError(message, help=f"quote values that contain spaces; {manual}")
    return ConfigurationError(f"`{command}` failed: {error}", help=manual)


def _usage_with(ctx: Any, words: Iterable[str], missing: Any, required: Iterable[Any]) -> str:
    """Return the required parameters of a command with the arguments that were given.

    One argument that is left over is probably the value of the missing option.
    """
    given, left, _ = ctx.command.make_parser(ctx).parse_args(args=list(words))
    values = {param.name: given.get(param.name) for param in required if isinstance(param, TyperArgument)}
    if isinstance(missing, TyperOption) and len(left) == 1:
        return shlex.join([*(word for word in values.values() if isinstance(word, str)), missing.opts[0], *left])
    return " ".join(
        shlex.quote(value) if isinstance(value := values.get(param.name), str) else _written(param)
        for param in required
    )


def _written(param: Any) -> str:
    """Return a parameter as it is written in a command line."""
    word = param.metavar or param.name.upper()
    return f"{param.opts[0]} {word}" if isinstance(param, TyperOption) else word


def _refused(option: str, wanted: str, text: object, *, example: str, near: str | None = None) -> ConfigurationError:
    help = f"did you mean `{option} {near}`?" if near else f"write for example `{option} {example}`"
    return ConfigurationError(f"`{option}` takes {wanted}, not `{text}`", help=help)


def _near(text: str, words: Iterable[str]) -> str | None:
    from orchestrator.diagnostics import suggest

    return suggest(text, list(words))
