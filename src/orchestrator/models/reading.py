"""What rules can read out of a text: its sentences, what it is about, and the values that stand beside their names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def vocabulary(text: str) -> frozenset[str]:
    """Return the words of a list that is written as one text."""
    return frozenset(text.split())


_WORD: Final = re.compile(r"[^\W\d_][\w'’-]*")
_END: Final = re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)\]]))\s+(?=[^a-z\s])")
_ITEM: Final = re.compile(r"[-*•|#]|\d+[.)]\s")
_NEAR: Final = 200
_STOP: Final = vocabulary(
    "a about after all also an and any are as at be because been but by can could did do does for from get had has "
    "have he her his how if in into is it its just like may me more most my no not of on one only or other our out "
    "over she should so some such than that the their them then there these they this those to too up us use very was "
    "we were what when where which while who will with would you your"
)
_MONTHS: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_MONTH: Final = rf"(?:{_MONTHS})[a-z]*\.?"

EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
URL: Final = re.compile(r"https?://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?]")
DATE: Final = re.compile(
    rf"\b(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|\d{{1,2}}(?:st|nd|rd|th)?\.? {_MONTH},? \d{{4}}"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})\b",
    re.IGNORECASE,
)
PHONE: Final = re.compile(r"(?<![\w-])\+?\(?\d[\d ()/-]{6,17}\d(?![\w-])")
NUMBER: Final = re.compile(r"(?<![\w.,-])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w]|[.,-]\d)")
MONEY: Final = re.compile(
    r"(?:[$€£¥]\s?\d[\d,]*(?:\.\d+)?|(?<![\d.,])\d[\d,]*(?:\.\d+)?\s?(?:[$€£¥]|(?:USD|EUR|GBP|CHF|JPY)\b))"
)
NAME: Final = re.compile(r"\b[A-Z][\w'’-]+(?: (?:(?:of|de|van|von|the|&) )?[A-Z][\w'’-]+)+")
CODE: Final = re.compile(r"\b(?=[\w-]{0,40}\d)[A-Za-z0-9][\w-]*\b")

POSITIVE: Final = vocabulary(
    "amazing awesome best better brilliant easy enjoy enjoyed excellent fantastic fast fine friendly good great happy "
    "helpful impressed like liked love loved nice perfect pleased recommend reliable smooth thank thanks wonderful"
)
NEGATIVE: Final = vocabulary(
    "angry annoying awful bad broken complaint crash crashed crashes damaged disappointed disappointing error fail "
    "failed fails hate horrible late missing never poor problem refund rude slow terrible unhappy useless worse worst "
    "wrong"
)


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return [word.casefold() for word in _WORD.findall(text)]


def stem(word: str) -> str:
    """Return a word without the endings of plurals and verbs, so that `billing` and `bills` meet."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def sentences(text: str) -> list[str]:
    """Split a text into its sentences; a heading or an item of a list is one too."""
    paragraphs: list[list[str]] = [[]]
    for line in map(str.strip, text.splitlines()):
        if not line or _ITEM.match(line) or (paragraphs[-1] and paragraphs[-1][0].startswith("#")):
            paragraphs.append([])
        if line:
            paragraphs[-1].append(line)
    parts = (part for lines in paragraphs for part in _END.split(" ".join(lines)))
    return [" ".join(part.split()) for part in parts if _WORD.search(part)]


def blocks(text: str) -> list[str]:
    """Split a text into the parts that may each hold one record: its paragraphs, else its lines, else its sentences."""
    for parts in (re.split(r"\n\s*\n", text), text.splitlines()):
        kept = [part for part in parts if part.strip()]
        if len(kept) > 1:
            return kept
    return sentences(text)


def summary(text: str, *, count: int = 3) -> str:
    """Return the sentences that say most of what the text is about, in their order.

    A sentence is worth the mean frequency in the text of its stems that carry meaning (after Luhn, "The automatic
    creation of literature abstracts", 1958); the first ones of a text count a little more.
    """
    found = [_cut(each) for each in sentences(text) if not each.startswith("#")] or [
        _cut(each.strip("# ")) for each in sentences(text)
    ]
    if len(found) <= count:
        return " ".join(found)
    stems = [_meaning(each) for each in found]
    often = Counter(each for sentence in stems for each in sentence)

    def worth(index: int) -> float:
        sentence = stems[index]
        if not sentence:
            return 0.0
        # Very short sentences have a high mean by chance.
        return sum(often[each] for each in sentence) / (len(sentence) + 3) * (1.2 if index == 0 else 1.0)

    best = sorted(range(len(found)), key=lambda index: (-worth(index), index))[:count]
    return " ".join(found[index] for index in sorted(best))


def keywords(text: str, *, count: int = 5) -> list[str]:
    """Return the words that the text uses most, without those that every text uses."""
    often: Counter[str] = Counter()
    written: dict[str, str] = {}
    for word in words(text):
        if word not in _STOP and len(word) > 2:
            often[stem(word)] += 1
            written.setdefault(stem(word), word)
    return [written[each] for each, _ in often.most_common(count)]


def title(text: str) -> str:
    """Return the heading of a text, or the beginning of its first sentence."""
    first = next((line.strip(" \t#*=") for line in text.splitlines() if line.strip(" \t#*=")), "")
    line = first if len(first) <= 100 and not re.search(r"[.!?]\s", first) else (sentences(text) or [""])[0]
    return _cut(line.rstrip("."), 80)


def choose(labels: Sequence[str], text: str, explained: str = "") -> list[str]:
    """Return the labels that a text has words of, the best first.

    `explained` may tell of them, a line for each: `billing: invoices, payments`.
    """
    present = Counter(stem(word) for word in words(text))
    scores = {label: _score(label, present, explained) for label in labels}
    return sorted((label for label in labels if scores[label] > 0), key=lambda label: -scores[label])


def best_label(labels: Sequence[str], text: str, instruction: str) -> str:
    """Return the label that fits best; where none does, the one that says so, else the first."""
    fitting = choose(labels, text, instruction)
    if fitting:
        return fitting[0]
    for label in labels:
        if set(field_words(label)) & {"other", "unknown", "neutral", "none", "general", "misc"}:
            return label
    return labels[0]


def _score(label: str, present: Counter[str], explained: str) -> float:
    own = {stem(word) for word in field_words(label)}
    score = 3.0 * sum(present[each] for each in own)
    if own & {"positiv", "good", "happ"}:
        score += sum(present[stem(each)] for each in POSITIVE)
    if own & {"negativ", "bad", "angr", "complaint"}:
        score += sum(present[stem(each)] for each in NEGATIVE)
    told = re.search(rf"(?im)^\W*{re.escape(label)}\W*\s*[:=(–-]+\s*(.+)$", explained)
    if told:
        score += sum(present[each] for each in _meaning(told[1]) - own)
    return score


def field_words(name: str) -> list[str]:
    """Split the name of a field into words: `invoice_number`, `invoiceNumber` and `invoice-number` are the same."""
    return words(re.sub(r"[_-]|(?<=[a-z])(?=[A-Z])", " ", name))


def beside(name: str, text: str) -> str | None:
    """Return what stands on a line after the name of a field: `Due date: 1 May 2026`."""
    label = _label(name)
    found = re.search(rf"(?im)^[^\w\n]*{label}[^\w\n]*?[:=|]+[ \t*]*(\S[^\n|]*?)[ \t*|]*$", text) if label else None
    # Several fields may share a line: `name: Ada, email: ada@example.org`.
    return re.split(r"[,;]\s+(?=[\w ]{1,30}[:=])", found[1])[0] if found else None


def after(name: str, pattern: re.Pattern[str], text: str) -> str | None:
    """Return the first thing of a pattern that follows the name of a field within the same sentence."""
    label = _label(name)
    for found in re.finditer(rf"(?i)\b{label}\b", text) if label else ():
        near = pattern.search(text, found.end(), found.end() + _NEAR)
        if near and not re.search(r"[.!?]\s|\n\s*\n", text[found.end() : near.start()]):
            return near[0]
    return None


def _label(name: str) -> str:
    return r"[\s_-]*".join(re.escape(word) for word in field_words(name))


def number(text: str) -> float | None:
    """Return the number that a text such as `1,250.50` is, or None."""
    found = NUMBER.search(text) or re.search(r"[-+]?\d[\d,]*(?:\.\d+)?", text)
    return float(found[0].replace(",", "")) if found else None


def all_of(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Yield everything of a pattern, each once, in order."""
    yield from dict.fromkeys(found[0].strip() for found in pattern.finditer(text))


def day(text: str) -> str | None:
    """Return a date in words, or one in ISO 8601, in that form; None where the order of its numbers is a guess."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return text
    found = re.search(rf"(?i)({_MONTHS})", text)
    numbers = [int(each) for each in re.findall(r"\d+", text)]
    if found is None or len(numbers) != 2:
        return None
    month = _MONTHS.split("|").index(found[1].lower()) + 1
    return f"{numbers[1]:04}-{month:02}-{numbers[0]:02}"


def _cut(text: str, most: int = 600) -> str:
    """Return a text that is not too long, whole words only."""
    if len(text) <= most:
        return text
    return (text[:most].rpartition(" ")[0] or text[:most]) + " …"


def _meaning(text: str) -> set[str]:
    return {stem(word) for word in words(text) if word not in _STOP and len(word) > 2}
