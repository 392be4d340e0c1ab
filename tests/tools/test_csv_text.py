"""Delimited text: read as the standard library reads it, where that reads it at all."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.text.csv_text import BadRecord, Record, csv_table, delimited, records

PIECES = st.sampled_from(["a", "b c", ",", ";", '"', '""', "\n", "\r\n", "\n\n", "é", " ", '","', '"\n"'])


def lines(text: str) -> list[str]:
    return io.StringIO(text, newline="\n").readlines()


@given(st.lists(PIECES, max_size=12).map("".join))
@example('a,"b ""c""",\n\n"x\n\ny",z')
@example('5" pipe,b\n"c"\n')
def test_records_are_those_of_the_standard_library(text: str) -> None:
    try:
        theirs = [row for row in csv.reader(lines(text), strict=True) if row]
    except csv.Error:
        theirs = None
    ours = list(records(lines(text), ","))
    if theirs is None:
        assert any(isinstance(record, BadRecord) for record in ours)
    else:
        assert [[cell or "" for cell in record.cells] for record in ours if isinstance(record, Record)] == theirs
        assert not any(isinstance(record, BadRecord) for record in ours)


def test_a_bad_record_hides_no_other() -> None:
    text = 'a,b\n1,2\n"x"y,3\n4\n5,6\n"7,8\n9,10\n'
    found = [(r.line, r.cells if isinstance(r, Record) else r.reason) for r in csv_table(lines(text), ",")]
    assert found == [
        (1, ["a", "b"]),
        (2, ["1", "2"]),
        (3, "has text after a closing quote"),
        (4, "has 1 cell, and the first line names 2 columns"),
        (5, ["5", "6"]),
        (6, "opens a quote that is not closed at the end of the file"),
    ]


def test_an_empty_cell_is_not_an_empty_text() -> None:
    assert [record.cells for record in records(['a,"",\n'], ",") if isinstance(record, Record)] == [["a", "", None]]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('"a,b";c\n1;2\n', ";"),
        ("name\nx;y\nz\n", ","),
        ("a;b\n", ";"),
        ("", ","),
        ("a,b;c\n1,2;3\n", ","),
    ],
)
def test_the_delimiter_is_what_divides_the_first_records_evenly(text: str, delimiter: str) -> None:
    found, rest = delimited(lines(text), None)
    assert found == delimiter
    assert "".join(rest) == text
