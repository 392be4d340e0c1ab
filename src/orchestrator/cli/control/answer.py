"""`answer`: answer the question of a run, and continue it."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.control.resume import show_resumed
from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.run_options import RESUMING, RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.journal.state.status import RunStatus

AnswerArgument = Annotated[
    str | None,
    typer.Argument(metavar="VALUE", help="The answer: yes or no for an approval, else a value of the expected type."),
]


@with_groups
def answer(
    run: common.RunArgument,
    step: Annotated[str, typer.Argument(metavar="STEP", help="The path of the step that asks the question.")],
    options: RunOptions,
    value: AnswerArgument = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Read the answer from a file; `-` is stdin.")
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(
            "--answer", "-a", metavar="NAME=VALUE", help="The answer to one of several questions; can be repeated."
        ),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Only record the answer; resume the run later.")] = False,
    input: common.SecretOption = None,
    inputs: common.SecretsOption = None,
    replay: common.ReplayOption = None,
) -> None:
    """Answer a question of a run, and continue the run.

    Approvals take yes or no, or an object with approved, content and comment. Other answers are parsed by the type that
    the question expects. Several questions take `-a NAME=VALUE` for each, or an object. On a terminal, without an
    answer, you are prompted for it.

    If a live process executes the run, it continues there, and a submitted run when a worker takes it; any other one
    continues here, shown as by `run`.
    """
    from orchestrator.cli.options.inputs import declared, read_inputs
    from orchestrator.cli.options.model_source import ModelOptions
    from orchestrator.cli.run.foreground import reported
    from orchestrator.cli.terminal.output import DONE, emit_json, say
    from orchestrator.cli.terminal.prompts import open_questions

    model_source = ModelOptions(None, replay, dry_run=False)
    with reported(options.display), options.orchestrator(model_source, over_http=RESUMING) as orchestrator:
        handle = orchestrator.get_run(run)
        values = read_inputs(declared(handle), input or (), inputs)
        model_source.hide(declared(handle), values)
        hints = options.display.about(orchestrator, handle.id).hints
        before = handle.status()
        submitted = before.runs_on is not None and not before.ended
        left = before.owner or before.state == "paused" or no_wait or submitted
        if not left and any(each.path == step for each in open_questions(before)):
            orchestrator.check_resumable(handle.id, inputs=values)  # an answer is given once, so it must not be lost
        handle.answer(step, _answer(before, step, value, file, answer or (), hints))
        if left:
            if options.json:
                emit_json(handle.status().to_dict())
            said = f"run {handle.id} has the answer to {step}"
            if before.owner and before.state != "paused":
                say(f"{said}, and continues in its process: {before.owner}")
                say(f"  follow it with: {hints.command('status', handle.id, '--watch')}")
            elif submitted and before.state != "paused":
                say(f"{said}, and continues when a worker takes it")
                say(f"  follow it with: {hints.command('status', handle.id, '--watch')}")
            else:
                say(f"{said}" + (", and is paused" if before.state == "paused" else ""))
                say(f"  continue with: {hints.command('resume', handle.id)}")
            raise typer.Exit(DONE)
        code = show_resumed(
            options, orchestrator, lambda: orchestrator.resume(handle.id, inputs=values or None), since=before.last_seq
        )
    model_source.end(quiet=options.quiet)
    raise typer.Exit(code)


def _answer(
    status: "RunStatus", path: str, value: str | None, file: str | None, named: "Sequence[str]", hints: "Hints"
) -> object:
    """Return the answer, parsed by the type that the question expects."""
    from orchestrator.cli.options.inputs import read_text
    from orchestrator.cli.terminal.prompts import answer_command, ask, can_ask, open_questions
    from orchestrator.errors import ConfigurationError
    from orchestrator.runtime.values.answers import expected, parsed, parsed_each

    if sum((value is not None, file is not None, bool(named))) > 1:
        raise ConfigurationError("two answers are given", help="give one of VALUE, `--file` and `--answer`")
    question = next((step.question for step in open_questions(status) if step.path == path), None)
    if file is not None:
        value = read_text(file, what="answer")
    if question is None:
        return value  # no open question, which is reported next
    if named:
        return parsed_each(question, _by_name(named))
    if value is not None:
        return parsed(question, value.rstrip("\n") if file is not None else value)
    if can_ask():
        return ask(path, question)
    command = answer_command(status.run_id, path, question, hints)
    raise ConfigurationError(f"no answer to `{path}`", help=f"write `{command}`: {expected(question)}")


def _by_name(pairs: "Sequence[str]") -> dict[str, str]:
    """Return the texts of several answers by the names of their questions."""
    from orchestrator.errors import ConfigurationError

    texts: dict[str, str] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise ConfigurationError(f"`-a {pair}` has no `=`", help="write it as `-a name=value`")
        if name in texts:
            raise ConfigurationError(f"two answers are given to `{name}`", help="give one")
        texts[name] = text
    return texts
