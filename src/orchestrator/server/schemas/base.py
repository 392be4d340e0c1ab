"""What all models of the API have in common."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Json = dict[str, Any]

_MOST_FIELDS: Final = 100
"""How many fields an object may have that a model describes; the widest has fewer than half as many."""

SourceName = Annotated[
    str | None,
    Field(
        max_length=1_000,
        description="The path of the file that the text is from, below the directory of the project: what diagnostics "
        "call it, and where the files that it calls are looked for. By default `<text>`.",
    ),
]


class RequestBody(BaseModel):
    """What a request contains. Unknown fields, and numbers that are not finite, are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _is_readable(cls, value: Any) -> Any:
        """Refuse at once what would be reported field by field, and text that no file can contain."""
        if isinstance(value, dict) and len(value) > _MOST_FIELDS:
            raise PydanticCustomError("too_many_fields", "it has {count} fields", {"count": len(value)})
        if not _is_unicode(value):
            raise PydanticCustomError("lone_surrogate", "it has half of a surrogate pair, which is no character")
        return value


def _is_unicode(value: Any) -> bool:
    """Whether all texts in JSON data, the keys of objects included, are Unicode."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except (TypeError, ValueError, RecursionError):
        return True  # for the fields to refuse
    return True


class ResponseBody(BaseModel):
    """What a response contains. It has exactly these fields, so that the description of the API is true."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemDocument(BaseModel):
    """Why a request failed (RFC 9457). `code` is stable; `orchestrator explain CODE` describes it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`urn:orchestrator:` and the code.")
    title: str
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, and where.")
    code: str
    exception: str = Field(description="The class of the error in Python.")
    attributes: Json = Field(description="What that class adds, such as the `owner` of a run.")
    help: str | None = Field(description="How to fix it.")
    remedies: list[Json] = Field(
        description="What can be done, as data: with `method` and `href` if the API does it, and as a `command`."
    )
