"""Reads the lines of a request one by one, each within a limit: the head of a batch, and its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import InputError, RequestError
from orchestrator.text.json_text import read_json
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.runtime import Row
    from orchestrator.server.hosted_batches import NumberedRow

LARGEST_LINE: Final = 16_000_000
"""Bytes of one line."""

_KINDS: Final[dict[type, str]] = {
    list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number", type(None): "null",
}  # fmt: skip


_LONGEST_REASON: Final = 500


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a body, without empty ones.

    Raises:
        RequestError: One of them is too long.
    """
    rest = bytearray()
    async for piece in pieces:
        first, *others = piece.split(b"\n")
        rest += first
        for other in others:
            if len(rest) <= LARGEST_LINE and rest.strip():
                yield bytes(rest)
            if len(rest) > LARGEST_LINE:
                break
            rest = bytearray(other)
        if len(rest) > LARGEST_LINE:
            raise RequestError(
                f"a row has more than {LARGEST_LINE:,} bytes",
                status=413,
                help="let the tools of a pipeline read large files",
            )
    if rest.strip():
        yield bytes(rest)


def row_of(line: bytes, number: int, *, numbered: bool) -> NumberedRow:
    """Return a row with its number: that in the line, or `number`. One that cannot be read is an error of its row.

    A numbered line may say in a third value why the client could not read the row.

    Raises:
        RequestError: A numbered line is not `[number, inputs]`.
    """
    try:
        value = read_json(line.decode("utf-8"))
    except ValueError as error:
        if numbered:
            raise RequestError(f"line {number + 1} is not JSON: {error}", status=422) from error
        return number, InputError(f"line {number + 1} is not JSON: {error}", help="write one JSON object on each line")
    if not numbered:
        return number, _inputs(value, number)
    match value:
        case [int(given), inputs] if given > 0:
            return given, _inputs(inputs, given)
        case [int(given), None, str(reason)] if given > 0:
            return given, InputError(shorten(reason, _LONGEST_REASON))
        case _:
            raise RequestError(f"line {number + 1} is not `[number, inputs]`", status=422)


def _inputs(value: Any, number: int) -> Row:
    if isinstance(value, dict):
        return value
    return InputError(  # without the value, which may be secret
        f"row {number} is not an object, but {_KINDS[type(value)]}",
        help='write one object with the inputs on each line: {"name": "value"}',
    )
