"""`init`: a commented pipeline to start from."""

import shlex
from itertools import count
from pathlib import Path
from typing import Annotated, Final

import typer

from orchestrator.cli.options import common
from orchestrator.text.content import path_kind

STARTER: Final = """\
# A pipeline: steps that call tools, in the order of their dependencies.
#
#   orchestrator check {file}      reports every problem, without running anything
#   orchestrator run {file}        runs it
#   orchestrator run {file} -i title="My words" -i minimum=4
#   orchestrator tools             lists the tools, and `orchestrator tools text` shows one of them
#
# For completion in your editor, run `orchestrator schema > pipeline.schema.json`; this line uses the schema:
# yaml-language-server: $schema=pipeline.schema.json

id: {id}
description: Counts the words of a text and writes them to a file.

# The inputs of a run. A plain value is a default, and its type is the input's type.
inputs:
  title: A first pipeline
  minimum:
    type: integer
    description: The minimum number of words of a long text.
    default: 3
    minimum: 1

steps:
  # `action` names the operation, `parameters` its arguments. {{{{ ... }}}} reads an input or another step.
  - id: words
    tool: text
    action: split
    parameters:
      text: "{{{{ title }}}}"
      separator: " "

  # This step reads `words`, so it runs after it: the order follows from the data.
  - id: summary
    tool: text
    action: template
    parameters:
      template: "{{{{ title | upper }}}}: {{{{ words | length }}}} words"

  # A step is skipped when its condition is false; its value is then null.
  - id: saved
    tool: filesystem
    action: write
    condition: words | length >= minimum
    parameters:
      path: summary.txt
      content: "{{{{ summary }}}}"
    retry: 2        # two attempts in total
    timeout: 10s

outputs:
  summary: "{{{{ summary }}}}"
  count: "{{{{ words | length }}}}"
  file: "{{{{ saved.path | default('not written') }}}}"
"""


def _free(path: Path) -> Path:
    """Return a free path next to this one."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return next(other for other in numbered if path_kind(other) is None)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("pipeline.yaml"),
    json: common.JsonOption = False,
) -> None:
    """Write a commented pipeline to start from. An existing file is never overwritten."""
    import re

    from orchestrator.cli.terminal.output import emit, emit_json, say
    from orchestrator.errors import ConfigurationError

    target = file / "pipeline.yaml" if path_kind(file) == "directory" else file
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", target.stem).strip("-") or "pipeline"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as out:
            out.write(STARTER.format(file=target, id=name))
    except FileExistsError:
        raise ConfigurationError(
            f"`{target}` already exists and was not changed",
            help=f"name another file, for example: orchestrator init {shlex.quote(str(_free(target)))}",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"`{target}` cannot be written: {(error.strerror or str(error)).lower()}",
            help="name a file in a writable directory",
        ) from None
    if json:
        emit_json({"file": str(target)})
    else:
        emit(str(target))
    say(f"written; run it with: orchestrator run {target}", "green")
