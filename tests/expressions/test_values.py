"""Values of a pipeline: nested data with templates inside."""

from __future__ import annotations

import pytest

from orchestrator.expressions import Constant, ListValue, MappingValue, Rendered, Templated, constant_of, parse_template
from tests.expressions.conftest import scope

N = parse_template("{{ n }}")
TEXT = parse_template("n is {{ n }}")


def test_a_value_is_evaluated_in_its_own_shape() -> None:
    value = MappingValue({"a": Constant([1]), "b": ListValue((Templated(N), Templated(TEXT))), "c": Rendered(N)})
    assert value.evaluate(scope(n=[1])) == {"a": [1], "b": [[1], "n is [1]"], "c": "[1]"}
    assert not value.is_constant
    assert list(value.templates()) == [N, TEXT, N]


def test_a_value_without_templates_is_constant() -> None:
    value = ListValue((Constant(1), MappingValue({"a": Constant(None)})))
    assert value.is_constant
    assert constant_of(value) == [1, {"a": None}] == value.evaluate(scope())
    with pytest.raises(ValueError, match="template"):
        constant_of(ListValue((Templated(N),)))


def test_where_text_is_asked_for_any_value_becomes_text() -> None:
    for value, text in ((None, ""), (True, "true"), (1.0, "1.0"), ("x", "x"), ({"a": 1}, '{"a": 1}')):
        assert Rendered(N).evaluate(scope(n=value)) == text
