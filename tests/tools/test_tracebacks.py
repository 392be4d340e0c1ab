"""Tracebacks of user code as text."""

import sys
from concurrent.futures import ThreadPoolExecutor

from orchestrator.tools.functions.tracebacks import recent_traceback, traceback_text


def failed() -> BaseException:
    try:
        return [1][1 + len("x")]  # type: ignore[return-value]
    except IndexError as error:
        return error


def test_tracebacks_are_formatted_in_many_threads_at_once():
    errors = [failed() for _ in range(400)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            texts = set(pool.map(traceback_text, errors)) | set(pool.map(recent_traceback, errors))
    finally:
        sys.setswitchinterval(before)
    assert len(texts) == 1
    (text,) = texts
    assert text.endswith('return [1][1 + len("x")]  # type: ignore[return-value]\nIndexError: list index out of range')
    assert "^" not in text  # what Python 3.11 parses each line for, which only one thread can do at a time
