"""A commented pipeline to start from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_STARTER: Final = """\
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


def starter(file: Path) -> str:
    """Return the text of a first pipeline that is written to this file."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-") or "pipeline"
    return _STARTER.format(file=file, id=name)
