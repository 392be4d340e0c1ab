"""What an `undo` reads from outside its own steps: recorded with the success of the step that it undoes."""

from __future__ import annotations

from msgspec import Struct


class Read(Struct, frozen=True):
    """A name that the steps of an `undo` read, and the field of it, if only that is read.

    Of `inputs`, `variables` and `steps`, `section` is the word, and `name` what is looked up in it.
    """

    name: str
    field: str | None = None
    section: str = ""
