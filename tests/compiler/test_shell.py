"""Which values in the text of a shell command are refused, and that `quote` holds."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.diagnostics import Diagnostic
from orchestrator.expressions import parse_template
from tests.compiler.test_compilation import compiled, fixed
from tests.expressions.conftest import scope

HEAD = """
inputs:
  tag: string
  number: {type: integer}
  level: {type: string, enum: [low, high]}
  odd: {type: string, enum: ["a b", "c"]}
  key: {type: string, secret: true, default_from_env: KEY}
  names: {type: array}
  loose: {}
variables: {folder: out, named: "x-{{ tag }}", constant: "{{ folder }}/a"}
steps:
  - {id: before, tool: echo, parameters: {value: 1}}
"""

HARMLESS = [
    "echo {{ number }} {{ number * 2 }} {{ tag | length }} {{ level }} {{ tag == 'a' }}",
    "echo {{ folder }} {{ constant }} {{ run.id }} {{ pipeline.name }} {{ step.path }} {{ now() }}",
    "echo {{ tag | quote }} {{ before | quote }} {{ names | map('quote') | join(' ') }} {{ names | quote }}",
    "echo {{ 'yes' if tag else 'no' }} {{ 'on' if loose == tag }} {{ (tag | quote) ~ '.txt' }}",
    "{% for name in names %}rm {{ name | quote }} {{ loop.index }};{% endfor %}",
    "{% set a = tag | quote %}{% set b = 'x' %}echo {{ a }} {{ b }}",
    "{% if tag %}echo{% endif %} {{ tag | quote | default('x') }}",
    "{{ names }}",
]
READ = {
    "echo {{ tag }}": ["tag"],
    "echo \"{{ tag }}\" '{{ key }}'": ["tag", "key"],
    "echo {{ odd }} {{ loose }} {{ named }}": ["odd", "loose", "named"],
    "echo {{ before }} {{ steps.before.result }}": ["before", "steps.before.result"],
    "echo {{ tag | upper }} {{ tag | quote | upper }}": ["tag | upper", "tag | quote | upper"],
    "{% for name in names %}rm {{ name }};{% endfor %}": ["name"],
    "{% set a = tag %}{% set b %}{{ tag }}{% endset %}echo {{ a }} {{ b }}": ["a", "b"],
    "echo {{ 'a' if number else tag }} {{ tag ~ '.txt' }}": ["'a' if number else tag", "tag ~ '.txt'"],
    "echo {{ tag | default('x') }} {{ names | join(' ') }}": ["tag | default('x')", "names | join(' ')"],
    "{{ tag }}": ["tag"],
}


def step(command: object) -> str:
    return HEAD + f"  - {{id: run_it, tool: terminal, parameters: {{command: {json.dumps(command)}}}}}\n"


def culprits(text: str) -> list[str]:
    found = [each for each in compiled(text).diagnostics if each.code == "ORC433"]
    assert all("comes from outside" in each.message or "no effect inside" in each.message for each in found)
    starts = [(each.span.start.line, each.span.start.column) for each in found]
    assert starts == sorted(starts)
    return [_text_at(text, each) for each in found]


def _text_at(text: str, found: Diagnostic) -> str:
    start, end = found.span.start, found.span.end
    assert start.line == end.line
    return text.split("\n")[start.line - 1][start.column - 1 : end.column - 1]


@pytest.mark.parametrize("command", HARMLESS)
def test_quoted_values_numbers_and_what_stands_in_the_file_may_be_read_by_the_shell(command: str) -> None:
    assert culprits(step(command)) == []


@pytest.mark.parametrize("command", READ, ids=str)
def test_a_value_from_outside_in_the_text_of_a_command_is_refused(command: str) -> None:
    assert culprits(step(command)) == READ[command]
    assert culprits(step(["bash", "-c", command])) == READ[command]
    assert culprits(step(["/bin/sh", "-ec", command, "x"])) == READ[command]


@pytest.mark.parametrize("command", [["echo", "{{ tag }}"], ["python3", "-c", "{{ tag }}"], ["{{ tag }}", "-c", "x"]])
def test_arguments_that_no_shell_reads_are_not_refused(command: list[str]) -> None:
    assert culprits(step(command)) == []


def test_items_that_stand_in_the_file_are_no_values_from_outside() -> None:
    loop = (
        HEAD + '  - {id: run_it, for_each: %s, tool: terminal, parameters: {command: "echo {{ item }} {{ index }}"}}\n'
    )
    assert culprits(loop % "[a, b]") == []
    assert culprits(loop % '["{{ tag }}"]') == ["item"]
    assert culprits(loop % '"{{ names }}"') == ["item"]


def test_quote_inside_of_quotes_is_refused() -> None:
    assert culprits(step("echo '{{ tag | quote }}'")) == ["tag | quote"]
    assert culprits(step("echo 'a' {{ tag | quote }} 'b'")) == []


@pytest.mark.parametrize("command", ["echo {{ tag }}", "echo {{ tag ~ '.txt' }} {{ names[0] }} | wc"])
def test_the_fix_quotes_the_value(command: str) -> None:
    text = step(command)
    while found := [each for each in compiled(text).diagnostics if each.code == "ORC433" and each.fix]:
        text = fixed(text, found[0])
    assert culprits(text) == []


@pytest.mark.parametrize(
    ("joined", "instead"),
    [
        ("names | join(' ')", "names | quote"),
        ("names | sort | join(' ')", "names | sort | quote"),
        ("names | join(',')", "(names | join(',')) | quote"),
        ("tag if tag else names | join(' ')", "(tag if tag else names | join(' ')) | quote"),
    ],
)
def test_the_fix_makes_a_word_of_each_item_that_blanks_would_join(joined: str, instead: str) -> None:
    text = step(f"echo {{{{ {joined} }}}} | wc")
    (found,) = [each for each in compiled(text).diagnostics if each.code == "ORC433"]
    assert found.fix is not None
    assert found.fix.replacement == instead
    assert culprits(fixed(text, found)) == []


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell")
@settings(max_examples=30)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_a_quoted_value_reaches_the_program_as_it_is(values: list[str]) -> None:
    template = parse_template("printf '%s\\0' {{ values | quote }}")
    command = template.render(scope(values=values))
    printed = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
    assert printed.decode().split("\0")[:-1] == values
