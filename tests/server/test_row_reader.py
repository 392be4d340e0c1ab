"""The lines of a body, however its pieces are cut."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RequestError
from orchestrator.server import row_reader
from orchestrator.server.row_reader import lines_of


async def in_pieces(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def lines(pieces: list[bytes]) -> list[bytes]:
    async def read() -> list[bytes]:
        return [line async for line in lines_of(in_pieces(pieces))]

    return asyncio.run(read())


@given(pieces=st.lists(st.binary(max_size=8).map(lambda piece: piece.replace(b"\x00", b"\n")), max_size=12))
def test_lines_do_not_depend_on_how_a_body_is_cut(pieces: list[bytes]):
    assert lines(pieces) == [line for line in b"".join(pieces).split(b"\n") if line.strip()]


@pytest.mark.parametrize("cut", [1, 3, 100])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n{}\n"])
def test_a_line_that_is_too_long_is_refused_wherever_it_ends(cut: int, end: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_reader, "LARGEST_LINE", 10)
    for length in (10, 11):
        body = b"{}\n" + b"x" * length + end
        pieces = [body[start : start + cut] for start in range(0, len(body), cut)]
        if length > 10:
            with pytest.raises(RequestError, match="more than 10 bytes"):
                lines(pieces)
        else:
            assert lines(pieces)[1] == b"x" * 10
