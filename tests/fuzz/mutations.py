"""Pipelines that somebody broke: real ones, with a few small changes each."""

from pathlib import Path

from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("examples/*.yaml")) + sorted(ROOT.glob("tests/conformance/**/*.yaml"))
PIPELINES = [path.read_bytes().decode(errors="replace") for path in FILES if path.stat().st_size < 10_000]

PIECES = (
    *(":", "-", "#", "&", "*", "!", "|", ">", "'", '"', "%", "@", "`", "{", "}", "[", "]", ",", "?", "<<"),
    *("0", "1e999", "-1", "~", "null", "true", "é", "😀"),
    *("\t", "\n", "\r", "\\", "\0", "\ufeff", "\u2028", "\x85", "\ud800"),
    *(": ", "- ", " #", "{{", "}}", "{%", "%}", "{#", "#}", "|-", ">+2", "---\n", "...\n", "%YAML 1.1\n", "&a ", "*a"),
    *("{{ x }}", "{% if x %}", "{% for x in y %}", "{% endfor %}", "{% set x = 1 %}", "{% raw %}", "| default", "| "),
    *("(", ")", "[0]", "[1:", ".", "..", "~", "**", "//", "==", " is ", " not ", " in ", " if ", " else ", "'", '"'),
    *("\\ud83d", "\\x00", "\\u0000", "\\U0010FFFF", "99999999999999999999", "!!str ", "!!python/object ", "? "),
    *("id: ", "tool: ", "steps:", "inputs:", "retry: ", "on_failure: ", "condition: ", "timeout: 5", "value: "),
)  # fmt: skip

place = st.floats(0, 1, exclude_max=True)
Change = tuple[str, float, float, str]


def changes() -> st.SearchStrategy[list[Change]]:
    """A few changes, each a kind, two places as shares of the text, and a piece of text."""
    kinds = st.sampled_from(
        [
            "insert",
            "insert",
            "delete",
            "delete line",
            "double line",
            "swap lines",
            "indent",
            "dedent",
            "cut",
            "swap keys",
        ]
    )
    pieces = st.sampled_from(PIECES) | st.text(max_size=3)
    return st.lists(st.tuples(kinds, place, place, pieces), min_size=1, max_size=4)


def pipelines() -> st.SearchStrategy[str]:
    """Pipelines with changes."""
    return st.builds(changed, st.sampled_from(PIPELINES), changes())


def changed(text: str, changes: list[Change]) -> str:
    """Apply the changes one after the other."""
    for kind, first, second, piece in changes:
        text = _changed(text, kind, first, second, piece)
    return text


def _changed(text: str, kind: str, first: float, second: float, piece: str) -> str:
    at = int(first * (len(text) + 1))
    if kind == "insert":
        return text[:at] + piece + text[at:]
    if kind == "delete":
        return text[:at] + text[at + 1 + int(second * 8) :]
    if kind == "cut":
        return text[:at]
    lines = text.splitlines(keepends=True) or [""]
    one, other = int(first * len(lines)), int(second * len(lines))
    match kind:
        case "delete line":
            del lines[one]
        case "double line":
            lines.insert(other, lines[one])
        case "swap lines":
            lines[one], lines[other] = lines[other], lines[one]
        case "indent":
            lines[one] = " " * (1 + int(second * 4)) + lines[one]
        case "dedent":
            lines[one] = lines[one].removeprefix(" " * (1 + int(second * 4)))
        case "swap keys":
            lines[one], lines[other] = _with_key_of(lines[one], lines[other]), _with_key_of(lines[other], lines[one])
    return "".join(lines)


def _with_key_of(line: str, other: str) -> str:
    _, colon, value = line.partition(":")
    key, _, _ = other.partition(":")
    return f"{key}{colon}{value}" if colon else line
