"""The expected value of each key, in the words of messages."""

from __future__ import annotations

EXPECTED_TYPES = {
    "string_type": "text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "finite_number": "a number",
    "tuple_type": "a list",
}

EXPECTED_VALUES = {
    "for_each": "a template, a list, a mapping, `{range: 10}` or `{file: rows.jsonl}`",
    "matrix": "a mapping from names to lists",
    "zip": "a mapping from names to lists",
    "exclude": "a list of mappings, or a template for one",
    "include": "a list of mappings, or a template for one",
    "while": "an expression or true/false",
    "until": "an expression or true/false",
    "switch": "an expression or a value",
    "pipeline": "the path of a pipeline file",
    "wait_for": "`all`, `any`, or a number of steps or items",
    "ask": "a question, or a mapping such as `{prompt: ..., type: integer}`",
    "approve": "a title, or a mapping such as `{title: ..., content: ...}`",
    "wait_until": "a time such as `2030-12-01T09:00`, or a template",
    "sleep": "a duration such as `5m`, or a template",
    "value": "a template, or a value",
    "end": "true, or a mapping from outputs of the pipeline to their values",
    "fail": "a message, or a mapping such as `{message: ..., code: ...}`",
    "on_error": "a handler or a list of them",
    "undo": "a step or a list of steps",
    "on_item_failure": "`fail`, `continue` or `{value: ...}`",
    "cache": "true, false, or a mapping such as `{ttl: 1d}`",
    "stop": "an integer or a template",
    "start": "an integer or a template",
    "step": "an integer or a template",
    "retry": "a number of attempts or a mapping such as `{max_attempts: 3, delay: 2s}`",
    "on_failure": "`fail`, `continue`, the id of a later step, or `{value: ...}`",
    "condition": "an expression or true/false",
    "dependencies": "a list of step ids",
    "on": "a list of error codes",
    "budget": "an amount in USD, or a mapping such as `{usd: 2, tokens: 100000}`",
    "check": "an expression, a list of them, or a mapping such as `{that: [...], judge: ...}`",
    "to": "a name or a list of names",
    "assignee": "a name or a list of names",
    "at": "a share such as `80%` or `0.8`",
    "judge": "a rubric, or a mapping such as `{rubric: ..., min_score: 0.8}`",
    "that": "an expression or a list of them",
    "model": "a model name or a list of them",
    "max": "a number of runs, at least 1",
    "key": "a text or a template",
    "judge_model": "a model name or a list of them",
    "experts": "a mapping from actions to models, such as `{summarize: auto}`",
}

BUDGET_HELP = "set a limit: `budget: 2` in USD, or `budget: {usd: 2, tokens: 100000, requests: 50}`"
CHECK_HELP = "write a condition on the output such as `check: output | length > 100`, a `schema`, or a `judge`"

BOOLEAN_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""Words that YAML 1.1 reads as true and false."""

KEPT_SPELLINGS = {"continue_on_error": "true or false"}
"""The expected values of keys that keep their spelling if the value is wrong."""
