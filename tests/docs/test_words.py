"""Texts are written in plain technical English: words that no engineer would say aloud are not used.

The list has the ones that were once written in this project, each with what to write instead. Code blocks of Markdown
files and generated parts are not checked here: their texts are in `src`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "orchestrator"
PLACES = [
    *("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml", "docs", "examples", "bench"),
    *(f"src/orchestrator/{path.name}" for path in sorted(SOURCE.iterdir()) if not path.name.startswith("__")),
]
SUFFIXES = {".md", ".py", ".toml", ".yaml", ".yml"}
LEFT_OUT = (ROOT / "docs" / "reference", ROOT / "examples" / "data", ROOT / "examples" / "output")
"""Generated pages, and texts that are data."""
REPLACEMENTS = {
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again",
    r"(go|goes|gone|going|went) on": "continue, resume",
    r"(?<!there )(is|are) no (?!longer|more\b|one\b)": "is not a",
    r"whoever|whomever": "users who, callers that",
    r"held to": "validated against",
    r"beside": "next to",
    r"besides": "also",
    r"under way": "in flight, running",
    r"of (one's|their|our) own": "custom, separate, its",
    r"who (does|do) not": "users who, without",
    r"by way of": "through",
    r"all the same": "still",
    r"at hand": "available",
    r"dearer": "more expensive",
    r"(is|are) told(?! apart)": "receives, is notified",
    r"left alone": "not changed, rate-limited",
    r"in a circle": "a dependency cycle",
    r"mistakes? of ours": "internal error",
    r"in (the )?place of": "instead of",
    r"(some|no)body": "a person, no one",
    r"asked? nobody": "calls no model",
    r"gently": "gracefully",
    r"aside(?!\")": "separately, cleanup",  # not the name of the HTML element
}
FENCED = re.compile(r"^ *(```+)\w.*?^ *\1$|^<!-- packages:.*?^<!-- end", re.DOTALL | re.MULTILINE)
WORDS = re.compile("|".join(rf"\b(?:{word})" + r"(?!\w)" for word in REPLACEMENTS), re.IGNORECASE)


def files(place: str) -> Iterator[Path]:
    path = ROOT / place
    found = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES)
    yield from (each for each in found if not set(LEFT_OUT) & set(each.parents))


def words(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = FENCED.sub(lambda block: "\n" * block[0].count("\n"), text)
    for number, line in enumerate(text.splitlines(), start=1):
        for found in WORDS.finditer(line):
            yield f"{path.relative_to(ROOT)}:{number}: {found[0]!r}, write {replacement(found[0])}: {line.strip()[:80]}"


def replacement(word: str) -> str:
    return next(text for pattern, text in REPLACEMENTS.items() if re.match(pattern, word, re.IGNORECASE))


@pytest.mark.parametrize("place", PLACES)
def test_plain_words_are_used(place: str) -> None:
    found = [line for path in files(place) for line in words(path)]
    assert not found, "\n" + "\n".join(found)
