"""Questions that are asked for single values: what identifies one, and an answer that was kept."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

_MARK: Final = re.compile(r"\[redacted:[^\[\]]+(?:\[[^\[\]]+\][^\[\]]*)?#\w+\]")


def question_digest(question: str, schema: Mapping[str, Any]) -> str:
    """Return what identifies a question: its words, and the type of the answer without descriptions."""
    kind = {key: value for key, value in schema.items() if key != "description"}
    text = json.dumps([question, kind], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def has_mark(value: Any) -> bool:
    """Whether JSON data have a text that looks like the mark of a secret, of whichever run; the secret is lost."""
    if isinstance(value, str):
        return _MARK.search(value) is not None
    if isinstance(value, Mapping):
        return any(has_mark(key) or has_mark(item) for key, item in value.items())
    return isinstance(value, list) and any(map(has_mark, value))


class KeptAnswer(Struct, frozen=True):
    """What a model answered to a question, and when: `asked` is the question's digest, `when` a time in ISO 8601."""

    asked: str
    question: str
    answer: Any
    model: str
    when: str

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON data."""
        return {
            "question": self.question,
            "answer": self.answer,
            "model": self.model,
            "when": self.when,
            "asked": self.asked,
        }
