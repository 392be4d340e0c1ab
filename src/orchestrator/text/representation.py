"""Shows a value in Python without the fields that are secret, or too long to read."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct


class PartlyShown(Struct, frozen=True):
    """A struct that is shown without the fields in `hidden`: by `repr`, by Rich, and so in logs and tracebacks."""

    hidden: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in self.hidden]
