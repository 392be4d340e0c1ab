"""Writes a Python mapping as YAML text, so that diagnostics of a pipeline built in code have places too."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from orchestrator.language.yaml.scalars import is_plain_text
from orchestrator.text.json_text import valid_unicode

_MOST_LEVELS = 100
_BLOCK = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff][^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]*")
"""Text of several lines that every YAML reader reads unchanged from a block."""
_SPECIAL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
"""Characters that YAML 1.1 and 1.2 readers read differently, or reject, outside escapes."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # chosen when imported
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.Node:
    style = None
    if "\n" in text and _BLOCK.fullmatch(text):
        style = "|"
    elif not is_plain_text(text) or "\n" in text or _SPECIAL.search(text):
        style = '"'
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


def _represent_number(dumper: Any, number: float) -> yaml.Node:
    text = repr(number)
    text = text if "." in text else text.replace("e", ".0e")  # without a point it is written with a tag
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:float", text)
    return node


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(float, _represent_number)


def write_yaml(mapping: Mapping[str, Any], *, width: int = 2**31 - 1) -> str:
    """Return the mapping as YAML that reads back as the same, in YAML 1.2 and 1.1.

    Lines are broken at `width` characters where that does not change the text.

    Raises:
        ValueError: something in it is not JSON data; the message names its path.
    """
    data = _checked(mapping, "", 0)
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width)
    return text


def _checked(value: Any, path: str, level: int) -> Any:
    if level > _MOST_LEVELS:
        raise ValueError(f"`{path[:60]}...` nests deeper than {_MOST_LEVELS} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return valid_unicode(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"`{path}` is {value}, a number that JSON cannot represent")
        return float(value)
    if isinstance(value, Mapping):
        entries = {}
        for key, item in value.items():
            if not isinstance(key, str | int | float):
                raise ValueError(f"a key of `{path or 'the pipeline'}` is not text")
            name = valid_unicode(str(key))
            if name in entries:
                raise ValueError(f"`{path or 'the pipeline'}` has two keys with the text `{name}`")
            entries[name] = _checked(item, f"{path}.{key}" if path else str(key), level + 1)
        return entries
    if isinstance(value, list | tuple):
        return [_checked(item, f"{path}[{index}]", level + 1) for index, item in enumerate(value)]
    raise ValueError(
        f"`{path}` is a Python {type(value).__name__}, not text, a number, true/false, a list or a mapping"
    )
