"""Questions that are asked for single values: what identifies one, and an answer that was kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def question_digest(question: str, schema: Mapping[str, Any]) -> str:
    """Return what identifies a question: its words, and the type of the answer. A description says no type."""
    kind = {key: value for key, value in schema.items() if key != "description"}
    text = json.dumps([question, kind], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class KeptAnswer:
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
