"""Fixes are safe: each removes its error and adds none, in pipelines whose words were misspelt."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.diagnostics import Diagnostic
from orchestrator.diagnostics.suggestions import is_spelling
from tests.compiler.test_compilation import compiled, fixed

ROOT = Path(__file__).parents[2]
FILES = [*sorted(ROOT.glob("examples/*.yaml")), *sorted(ROOT.glob("tests/conformance/runs/*/*.yaml"))[::5]]
SOURCES = [path for path in FILES if ".test." not in path.name and ".then." not in path.name]
WORD = re.compile(r"[A-Za-z_]{4,}")


def misspelt(word: str, chance: random.Random) -> str:
    place = chance.randrange(len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    return chance.choice(
        (before + after, before + letter * 2 + after, before + after[0] + letter + after[1:], before + "q" + after)
    )


def errors(found: tuple[Diagnostic, ...]) -> Counter[tuple[str, str]]:
    return Counter((each.code, each.message) for each in found if each.severity == "error")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_fix_of_a_misspelt_pipeline_removes_its_error_and_adds_none(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if not compiled(text, path.parent).ok:
        pytest.skip("needs files or tools that are not here")
    chance = random.Random(path.stem)
    words = [
        found
        for found in WORD.finditer(text)
        if "#" not in text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
    ]
    for found in chance.sample(words, min(12, len(words))):
        wrong = text[: found.start()] + misspelt(found[0], chance) + text[found.end() :]
        before = compiled(wrong, path.parent).diagnostics
        for diagnostic in before:
            if diagnostic.fix is None:
                continue
            after = errors(compiled(fixed(wrong, diagnostic), path.parent).diagnostics)
            kind = (diagnostic.code, diagnostic.message)
            was = errors(before)
            assert after[kind] < max(was[kind], 1)
            assert not after - was, (diagnostic, wrong)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("topci", "topic"), ("Topic", "topic"), ("on-error", "on_error"), ("paramters", "parameters")),
        *(("summarise", "summarize"), ("TimeoutErorr", "TimeoutError"), ("pront", "print")),
    ],
)
def test_a_misspelling_is_fixed(written: str, meant: str) -> None:
    assert is_spelling(written, meant)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("AuthenticationError", "IndentationError"), ("step1", "step2"), ("gpt-4", "gpt-5"), ("log", "dog")),
        *(("cost", "lost_it"), ("hours", "yours_"), ("completed", "succeeded"), ("a", "b")),
    ],
)
def test_another_word_is_suggested_and_not_put_in_its_place(written: str, meant: str) -> None:
    assert not is_spelling(written, meant)
