"""JSON values that nobody expects: what comes out of files, servers, models and people while a pipeline runs."""

from typing import Any

from hypothesis import strategies as st

TIMES = (
    *("0001-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59", "9999-12-31T23:59:59-12:00"),
    *("9999-12-31T24:00", "1969-12-31", "2026-03-29T02:30 Europe/Berlin", "2026-12-01T09.5", "2026-W53-7", "20261201"),
    *("2026-12-01T09:00[Europe]", "2026-12-01T09:00 ../../etc/passwd", "tomorrow", "", " ", "T", "2026-12-01T"),
    *("P", "PT", "P1Y", "PT1H30M", "-PT1S", "1e999s", "5 m", "0x10", "١٢", "²", "1h 1h", "30 fortnights"),
)
NUMBERS = (
    *(0, -1, 1, 1795958216000, 1795958216000000, 2**31, 2**63, 10**18, 10**400, -(10**400), 10**4200),
    *(0.0, -0.0, 1e308, -1e308, 5e-324, 0.1, 253402300799, 253402300800, -62135596801),
)
TEXTS = (
    *("\0", "\ud83d", "\udcff", "\u2028", "\x85", "\ufeff", "\r\n", "\x1b[2J", "a" * 300, "a/" * 1000, "x" * 3_000),
    *("..", "/", "~", "-rf", "{{ x }}", "{% if %}", "[redacted:a#b]", "$blob", "null", "nan", "1e999", "🙂" * 100),
    *("http://[::1", "http://\ud800/", "http://127.0.0.1:99999/", "//", "file:///etc/passwd", "(a+)+$", "[", "%s%n"),
)


def values() -> st.SearchStrategy[Any]:
    """Any JSON value, most often one that breaks something."""
    leaves = (
        st.none()
        | st.booleans()
        | st.sampled_from(NUMBERS)
        | st.sampled_from(TIMES)
        | st.sampled_from(TEXTS)
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20)
        | st.datetimes().map(lambda moment: moment.isoformat())
    )
    keys = st.sampled_from(["a", "", "1", "$blob", "approved", "content", "size", "__class__", "\ud83d", "id"])
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
    )
