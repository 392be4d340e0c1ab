"""The page for those who come from py-orc, with the table of all forms, generated from the cases."""

from __future__ import annotations

from orchestrator.language.aliases.py_orc import words
from orchestrator.language.aliases.py_orc.cases import table_markdown

_INTRODUCTION = """\
# Coming from py-orc

Files of the older dialect work where their meaning is clear: they are read as the canonical form, checked like every
other file, and run. Where the meaning is not clear, `orchestrator check` says what to write. To have the canonical form
in the file, import it:

```text
orchestrator import report.yaml --from py-orc --in-place
```

[Tools by their names in py-orc](../reference/py-orc-tools.md) lists the tools and actions that are read as what they
mean here, with their parameters and the fields of their results.

Comments, order and quotes are kept, and every change is listed. `orchestrator check --canonical` warns of forms and
spellings that are accepted, but are not the canonical ones. `orchestrator import` needs the extra `import`.

## An example

```yml
author: Ann
parameters:
  topic: tides
model: <AUTO task="analyze">a model for texts</AUTO>
steps:
  - id: search
    action: generate_text
    parameters:
      prompt: "Find sources about {{ parameters.topic }} as of {{ current_date }}."
      max_completion_tokens: 800
    on-error: No sources were found
  - id: report
    action: generate_text
    condition: "'tides' in {{ parameters.topic }}"
    parameters:
      prompt: "Write a report from {{ search | json }}."
    location: "{{ output_path }}/report.md"
```

is read as

```yaml
metadata: {author: Ann}
inputs:
  topic: tides
model: auto
steps:
  - id: search
    action: generate_text
    parameters:
      prompt: "Find sources about {{ inputs.topic }} as of {{ now('%Y-%m-%d') }}."
      max_tokens: 800
    on_failure: {value: No sources were found}
  - id: report
    action: generate_text
    condition: "'tides' in inputs.topic"
    parameters:
      prompt: "Write a report from {{ search | to_json }}."
  - id: report_file
    tool: filesystem
    action: write
    condition: "'tides' in inputs.topic"
    parameters:
      path: "{{ 'outputs/' ~ run.id }}/report.md"
      content: "{{ report }}"
```

## What to expect

- **Steps start as soon as the steps that they read have ended.** `parallel: true` of a step says nothing more, and the
  order of the file means nothing without a [dependency](../guide/pipelines.md).
- **Hyphens are underscores** in all keys: `requires-model`, `on-error`, `max-iterations`.
- **Names that the file declares come first.** `{{ timestamp }}` is the start of the run only if no input, variable or
  step has that name.
- **`inputs` and `parameters` are joined.** An input that both declare, differently, is an error.
- **A text in `on_error`, or as the `action` of a handler, is not carried out.** It is the value of the step when it
  fails, unless there is a `fallback_value`. A warning says so: often a value that other steps can recognize is better.
- **`location` adds a step** that writes the value of the step, or of the output, to that file. A JSON file gets JSON.
- **`{{ file:path }}` in a prompt** names a [prompt file](../guide/model-steps.md); elsewhere, a step reads the file.
- **`while: 'true'` with a limit** ends normally at the limit. Other loops that reach theirs fail, unless they have
  `on_limit: continue`.
- **Typed `outputs` of a step that calls a model** are the schema of its answer if the file reads these fields.
  Otherwise they are kept as notes.
- **`retry_with_handler`** retries the step before the steps of its handler, not after.
- **Values in code and commands are data.** A template in the code of `python-executor` becomes a value of `inputs`, and
  one in a shell command of simple programs such as `echo` is quoted. In other commands, quote it or pass a list.
- **Steps of parallel groups, and of the rounds of loops, can be read by their own ids**, as in
  `{{ gather.first.result }}` and `{{ chapters.results[0].draft.result }}`.
- **`<AUTO>` in a limit** means its default, as limits must be known before a run.
- **`priority` of handlers** must be in the order of the file, in which they are tried.
"""


def py_orc_markdown() -> str:
    """Return the page as Markdown."""
    inert = ", ".join(f"`{name}`" for name in sorted(words.INERT))
    return "\n".join(
        [
            _INTRODUCTION,
            f"Keys at the top of a file that have no effect are kept as `metadata`, with one warning: {inert}.",
            "",
            "## All forms",
            "",
            table_markdown(),
        ]
    )
