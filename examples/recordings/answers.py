"""The answers that `scripted.py` records: the runs of each example, and for each run the answers by step."""

from __future__ import annotations

from typing import Any

from orchestrator.errors import ModelRateLimited
from orchestrator.testing import Asked, ModelReply, ToolRequest


def calls(*wanted: tuple[str, dict[str, Any]]) -> ModelReply:
    """Ask for tools, several at once."""
    requests = tuple(ToolRequest(f"call_{number}", tool, given) for number, (tool, given) in enumerate(wanted, 1))
    return ModelReply("", requests=requests, finish="tools")


def fact(question: int, text: str, quote: str) -> dict[str, Any]:
    """Return a fact as `research` asks for it."""
    return {"question": question, "fact": text, "quote": quote}


RESEARCH = {
    "questions": {
        "questions": [
            "What happens to the water and the silt behind a tidal barrage?",
            "What does it mean for fish and other animals?",
            "Can tidal power be had without a dam?",
        ]
    },
    "evidence[0].found": {
        "facts": [
            fact(
                2,
                "Canada's fisheries department found the turbine dangerous to fish such as striped bass and sturgeon.",
                "dangerous to the fish that passed through it, among them striped bass and sturgeon",
            ),
            fact(
                2,
                "After a failure in 2019 the owner did not apply for the permit and asked to retire the station.",
                "applied in 2021 to retire the station instead",
            ),
            # The source does not contain this sentence: the example drops it.
            fact(2, "About one fish in five did not survive.", "roughly 20 % of the fish died in the turbine"),
        ]
    },
    "evidence[1].found": {
        "facts": [
            fact(
                2,
                "Closing off the estuary for three years killed most of its marine life.",
                "The estuary was closed off with coffer dams for three years",
            ),
            fact(2, "A new balance took about ten years to form.", "It took about ten years until a new balance had"),
            fact(
                1,
                "Silt gathers behind the barrage and must be dredged.",
                "Silt still gathers behind the barrage and has to be",
            ),
        ]
    },
    "evidence[2].found": {
        "facts": [
            fact(
                3,
                "Four turbines of 1.5 MW each stand on the sea bed, without a dam.",
                "four turbines of 1.5 MW each stand on the sea bed, without a dam",
            ),
            fact(
                2,
                "No collision of a marine mammal with a turbine has been seen so far.",
                "No collision of a marine mammal with a turbine has been observed so far.",
            ),
            fact(
                3,
                "A turbine of about 150 tonnes has to be lifted out of the water for repairs.",
                "Each turbine weighs about 150 tonnes and has to be lifted out of the water for repairs",
            ),
        ]
    },
    "evidence[3].found": {
        "facts": [
            fact(
                1,
                "The lake has become markedly cleaner since the tide flows in and out again.",
                "the water of the lake has become markedly cleaner",
            ),
            fact(
                1,
                "The station was put into a sea wall that had closed the bay since 1994.",
                "A sea wall of 12.7 km had closed the bay since 1994",
            ),
        ]
    },
    "report": """\
# What tidal power does to the water and the animals around it

Tidal stations are few, and each has taught something else. What matters most is not the turbine but the wall: whether \
one has to be built, and what was there before.

## What happens to the water and the silt behind a tidal barrage?

It depends on where one starts. At La Rance an open estuary was dammed: silt gathers behind the barrage and must be \
dredged to this day [la-rance]. At Sihwa Lake it was the other way round. A sea wall had closed the bay since 1994; \
the station was put into that wall, and since the tide flows in and out again, the lake has become markedly \
cleaner [sihwa].

## What does it mean for fish and other animals?

Building can do more harm than running. La Rance was closed off for three years, which killed most of its marine life; \
a new balance took about ten years to form [la-rance]. A running turbine can be a danger, too: at Annapolis Royal, \
Canada's fisheries department found it dangerous to fish such as striped bass and sturgeon. After a failure in 2019 \
the owner did not apply for the permit that was asked for, and retired the station [annapolis]. Turbines that stand in \
the open current have done better so far: no collision with a marine mammal has been seen at MeyGen [meygen].

## Can tidal power be had without a dam?

Yes. At MeyGen four turbines of 1.5 MW each stand on the sea bed, without a dam. The price is the upkeep: about 150 \
tonnes have to be lifted out of the water for a repair [meygen].
""",
}


def read(
    kind: str,
    sender: str,
    number: str | None = None,
    date: str | None = None,
    currency: str | None = None,
    sums: tuple[float | None, float | None, float | None] = (None, None, None),
) -> dict[str, Any]:
    """Return what `documents` asks for."""
    net, tax, total = sums
    return {
        "kind": kind,
        "sender": sender,
        "number": number,
        "date": date,
        "currency": currency,
        "net": net,
        "tax": tax,
        "total": total,
    }


def papeterie(net: float) -> dict[str, Any]:
    """Return what is read from the French invoice."""
    return read("invoice", "Papeterie du Sillon", "F-88", "2026-02-19", "EUR", (net, 20.52, 123.12))


DOCUMENTS = {
    "documents[0].read": read(
        "invoice", "Buchbinderei Huber", "2026-0117", "2026-03-02", "EUR", (2125.5, 212.55, 2338.05)
    ),
    "documents[1].read": read("letter", "Ada Okafor", date="2026-03-01"),
    "documents[2].read": read("invoice", "Marlow Paper Ltd", "2031", "2026-03-12", "GBP", (485.2, 97.04, 582.24)),
    "documents[3].read": read("reminder", "Marlow Paper Ltd", "2031", "2026-04-20", "GBP", (None, None, 582.24)),
    "documents[4].read": read("invoice", "Nordlys Bokbinderi AS", "5512", "2026-03-09", "NOK", (4320, 0, 4320)),
    # The first answer misses the discount; the check tells the model that the sums do not add up.
    "documents[5].read": [papeterie(114.0), papeterie(102.6)],
}

SUPPORT: list[dict[str, Any]] = [
    {
        "answers": {
            "kind": "order",
            "reply.named": {"order": "A-1002"},
            "reply.answer": (
                "Dear Tomás, thank you for asking. Your order A-1002, a packet of black tea and the iron pot, is "
                "packed and leaves us within two days. Kind regards, your Brightwater team"
            ),
        }
    },
    {
        "inputs": {"message": "Where is my order? It was about tea."},
        "answers": {
            "kind": "order",
            "reply.named": {"order": None},
            "reply.answer": (
                "Hello, gladly. Could you tell us the number of your order? It begins with A and has four digits, and "
                "stands at the top of our confirmation. Kind regards, your Brightwater team"
            ),
        },
    },
    {
        "inputs": {"message": "Do you ship to Singapore, and how long does it take to print 80 copies?"},
        "answers": {
            "kind": "question",
            "reply.answer": (
                "Hello, yes, we ship to Singapore, and 80 copies are no problem: our smallest edition is 50. A book "
                "takes six weeks from the day on which you approve the proofs. Kind regards, your Brightwater team"
            ),
        },
    },
    {
        "inputs": {"message": "The clay pots came in pieces, for the second time! What now? Mei"},
        "answers": {
            "kind": "complaint",
            "reply.draft": (
                "Dear Mei, a second parcel in pieces is one too many, and we are sorry. Could you send us a photograph "
                "of the pots and of the box? Then we can settle it without asking you for anything else. Kind regards, "
                "your Brightwater team"
            ),
        },
    },
    {
        "inputs": {"message": "CONGRATULATIONS you have been chosen, click here"},
        "answers": {"kind": "other"},
    },
]

PARCELS = {
    "answer.answer": [
        calls(
            (
                "data_sql",
                {
                    "query": "SELECT name, country, weight FROM parcels",
                    "tables": {"parcels": "examples/data/parcels.jsonl"},
                },
            )
        ),
        calls(
            ("postage", {"country": "AT", "weight": 1.2}),
            ("postage", {"country": "XX", "weight": 3}),
            ("postage", {"country": "DE", "weight": 12.5}),
        ),
        {
            "answer": "Two of the three parcels can be sent, Ada's for 5.20 EUR and Cy's for 23.45 EUR, which is 28.65 "
            "EUR together. Bob's cannot, as there is no price for the country XX.",
            "total": 28.65,
            "not_sent": [{"name": "Bob", "reason": "no parcels are sent to XX"}],
        },
    ]
}

_DRAFT = """\
An unforgettable journey along the coasts of the world: The Harbour Book takes you to twelve harbours and to the \
people who keep them alive. With warmth and a keen eye, Ada Okafor tells of work, of the sea, and of a time \
long gone."""

_SECOND = """\
A crane driver, a pilot, a tally clerk, a cook: their letters and logbooks lay in the attic of Ada Okafor's \
grandfather. In The Harbour Book they tell of the year 1931 in twelve harbours, from Lagos to Bergen, as it looked to \
those who load and unload."""


_BAD = {
    "reason": "It uses two of the words that stand on every book, and names nothing that is true of this book alone.",
    "score": 0.3,
    "suggestions": ["Leave out `unforgettable` and `journey`.", "Name the year, and some of those who tell."],
}
_GOOD = {
    "reason": "Year, harbours and voices are those of this book, and all of it is known.",
    "score": 0.95,
    "suggestions": [],
}

_TIDES = {
    "openai:gpt-5-mini": (
        "The Moon pulls at the sea and raises a bulge on the side that faces it. On the far side the pull is weakest, "
        "so the water is left behind and bulges too. The Earth turns through both bulges every day: two high tides."
    ),
    "anthropic:claude-haiku-4-5": (
        "Imagine the ocean as a stretchy ring. The Moon pulls the near side towards it, and pulls the Earth itself a "
        "little, too, which leaves the water on the far side behind. That makes two bulges. You turn under both of "
        "them in a day, and so you get wet feet twice!"
    ),
    "openai:gpt-5-nano": (
        "The Moon pulls water towards it, which makes a high tide. There is another one on the opposite side of the "
        "Earth. As the Earth rotates, each place passes both, so there are two a day."
    ),
}
_REMARKS = {
    "openai:gpt-5-mini": ("Right, complete and short; the far side is explained.", 9),
    "anthropic:claude-haiku-4-5": ("Right and vivid, but longer than 50 words.", 7),
    "openai:gpt-5-nano": ("Right, but it does not say why there is a second bulge.", 5),
}


def _tides(asked: Asked) -> Any:
    """Answer for each model; one of them is over its rate."""
    if asked.model == "google:gemini-2.5-flash":
        raise ModelRateLimited(
            "`google:gemini-2.5-flash` is over its rate: Resource has been exhausted (e.g. check quota).",
            provider="google",
            model="gemini-2.5-flash",
            status=429,
            retry_after=37.0,
        )
    return _TIDES[asked.model]


def _judged(asked: Asked) -> Any:
    """Judge an answer by who gave it."""
    (model,) = (model for model, text in _TIDES.items() if text in asked.prompt)
    remark, score = _REMARKS[model]
    return {"remark": remark, "score": score}


RAG = {
    "answer": (
        "Canada's fisheries department had found the turbine dangerous to fish such as striped bass and sturgeon "
        "[annapolis.md]. After a failure in 2019 the owner did not apply for the permit that was asked for, and applied "
        "in 2021 to retire the station [annapolis.md]."
    )
}

RUNS: dict[str, list[dict[str, Any]]] = {
    "research": [{"answers": RESEARCH}],
    "rag": [{"answers": RAG}],
    "documents": [{"answers": DOCUMENTS}],
    "support": SUPPORT,
    "parcels": [{"answers": PARCELS}],
    "blurb": [{"answers": {"blurb": [_DRAFT, _SECOND], "blurb:judge": [_BAD, _GOOD]}}],
    "compare": [{"answers": {"answers.answer": _tides, "answers.judged": _judged}}],
}
