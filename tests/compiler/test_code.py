"""Which values in the text of Python code and SQL are refused."""

import json
from pathlib import Path

import pytest

from orchestrator.compiler import compile_pipeline
from orchestrator.tools import Permissions, builtin_registry

HEAD = """
inputs:
  tag: string
  number: {type: integer}
  level: {type: string, enum: [low, high]}
  names: {type: array}
  numbers: {type: array, items: {type: integer}}
variables: {folder: out, named: "x-{{ tag }}"}
steps:
  - {id: before, action: json.merge, parameters: {values: [{a: 1}]}}
"""
HARMLESS = [
    "{{ number }} {{ tag | length }} {{ level }} {{ folder }} {{ numbers }} {{ run.id }}",
    "{{ 'a' if tag else 'b' }}",
    "{{ tag }}",
    "{{ before.code | trim }}\n",
    "{% if tag %}1{% else %}2{% endif %}",
]
READ = {
    "x = '{{ tag }}'": ["tag"],
    "{{ named }} = {{ before }}": ["named", "before"],
    "x = {{ tag | quote }} {{ names | tojson }}": ["tag | quote", "names | tojson"],
    "{{ 'x = ' ~ tag }}": ["'x = ' ~ tag"],
    "{% for name in names %}{{ name }}{% endfor %}": ["name"],
}
PLACES = [
    ("python.execute", {"code": "CODE"}),
    ("data.sql", {"query": "CODE", "tables": {}}),
    ("data.filter", {"where": "CODE", "rows": []}),
    ("data.select", {"columns": {"a": "CODE"}, "rows": []}),
    ("data.aggregate", {"values": {"a": "CODE"}, "rows": []}),
]


def culprits(action: str, parameters: object, code: str) -> list[str]:
    text = json.dumps({"id": "run_it", "action": action, "parameters": parameters}).replace('"CODE"', json.dumps(code))
    permissions = Permissions(directory=Path("/nowhere"), allow_run=True)
    compiled = compile_pipeline(HEAD + f"  - {text}\n", registry=builtin_registry(), permissions=permissions)
    found = [each for each in compiled.diagnostics if each.code == "ORC434"]
    return [each.message.split(" comes from outside")[0].strip("`") for each in found]


@pytest.mark.parametrize(("action", "parameters"), PLACES)
def test_values_from_outside_in_the_text_of_code_are_refused(action: str, parameters: object) -> None:
    assert {code: culprits(action, parameters, code) for code in READ} == READ


@pytest.mark.parametrize(("action", "parameters"), PLACES)
def test_numbers_own_values_and_code_that_is_one_value_are_not_refused(action: str, parameters: object) -> None:
    assert {code: culprits(action, parameters, code) for code in HARMLESS} == {code: [] for code in HARMLESS}


def test_values_beside_the_code_are_not_refused() -> None:
    assert culprits("python.execute", {"code": "result = inputs", "inputs": "CODE"}, "a {{ tag }}") == []
    assert culprits("data.sql", {"query": "SELECT :a", "tables": {}, "inputs": {"a": "CODE"}}, "a {{ tag }}") == []
