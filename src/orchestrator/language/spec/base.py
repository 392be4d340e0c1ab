"""The base class of all specs: the values of a part of a pipeline file, and its place."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from orchestrator.language.values.auto_markup import AUTO
from orchestrator.language.values.templates import is_template
from orchestrator.text.durations import parse_duration

if TYPE_CHECKING:
    from orchestrator.language.yaml.nodes import Mapping

Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds; written as a number or as a text such as `30s`."""


def _number_or_template(value: object, validate: ValidatorFunctionWrapHandler) -> Any:
    return value if is_template(value) else validate(value)


if TYPE_CHECKING:
    Count = int | str
    Share = float | str
    Span = float | str
else:
    Count = Annotated[int, Field(ge=1), WrapValidator(_number_or_template)]
    """An integer of at least 1, or a template for one."""

    Share = Annotated[float, Field(ge=0, le=1), WrapValidator(_number_or_template)]
    """A number from 0 to 1, or a template for one."""

    Span = Annotated[Duration, WrapValidator(_number_or_template)]
    """Seconds, or a template for a duration."""

Words = Annotated[tuple[str, ...], Field(strict=False)]


def _duration_or_template(value: object) -> float | str:
    return value if isinstance(value, str) and ("{{" in value or AUTO in value) else parse_duration(value)


Pause = Annotated[float | str, BeforeValidator(_duration_or_template)]
"""Seconds, or a template for a duration."""


class Spec(BaseModel):
    """A part of a pipeline file: its values and its place."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    _node: Mapping | None = PrivateAttr(default=None)

    @property
    def node(self) -> Mapping:
        """The part of the file that this was read from, in canonical spelling, with the places for diagnostics."""
        private = self.__pydantic_private__  # `self._node` is ten times slower, and is read everywhere
        node: Mapping | None = private["_node"] if private is not None else None
        if node is None:
            raise LookupError(f"this {type(self).__name__} was not read from a file")
        return node

    def __eq__(self, other: object) -> bool:
        """Specs are equal if their values are equal, regardless of their places."""
        return type(other) is type(self) and all(
            getattr(other, name) == getattr(self, name) for name in type(self).model_fields
        )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Make the plain default values attributes of the class too, so that an instance need not have them."""
        for name, field in cls.model_fields.items():
            if field.default is None or isinstance(field.default, bool | int | str):
                type.__setattr__(cls, name, field.default)

    def at(self, node: Mapping) -> None:
        """Store the part of the file that this was read from, and keep only the values that it has.

        A step has more than forty keys, most of which are absent: their default values took 2 kB. Most steps of a file
        have the same keys, so that their names are kept once.
        """
        written = self.model_fields_set
        kept = {
            name: value
            for name, value in self.__dict__.items()
            if name in written or getattr(type(self), name, self) is not value
        }
        object.__setattr__(self, "__dict__", kept)
        object.__setattr__(self, "__pydantic_fields_set__", _shared(frozenset(written)))
        private = self.__pydantic_private__
        if private is None:
            object.__setattr__(self, "__pydantic_private__", {"_node": node})
        else:
            private["_node"] = node


@lru_cache(4096)
def _shared(names: frozenset[str]) -> set[str]:
    """Return one set for all specs with the same names. Nothing changes it: specs are frozen, and copies copy it."""
    return set(names)


@cache
def key_fields(model: type[BaseModel]) -> dict[str, str]:
    """Return the keys of a model in a file, each with the name of its field: `while` is stored in `while_`."""
    return {field.alias or name: name for name, field in model.model_fields.items()}
