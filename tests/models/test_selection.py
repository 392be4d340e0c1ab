import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.models.calls.gateway import Requirements, Selection
from orchestrator.models.catalog.entries import Catalogue, ModelCard
from orchestrator.models.messages import ModelName
from orchestrator.models.selection.rank import select, unfit, violation

WORDS = ("vision", "tools", "json_schema", "reasoning")
SELECTIONS: tuple[Selection, ...] = ("balanced", "cost", "speed", "quality")

subsets = st.frozensets(st.sampled_from(WORDS))
prices = st.none() | st.sampled_from([0.0, 0.05, 0.25, 1.0, 10.0, 500.0])
ranks = st.none() | st.integers(1, 5)
sizes = st.none() | st.sampled_from([1.0, 7.0, 70.0])
cards = st.builds(
    lambda number, **known: ModelCard(ModelName("openai", f"m{number}"), **known),
    number=st.integers(0, 10**6),
    context_window=st.none() | st.sampled_from([4_000, 128_000]),
    input_price=prices,
    output_price=prices,
    modalities=st.sampled_from([frozenset({"text"}), frozenset({"text", "image"})]),
    capabilities=subsets,
    size=sizes,
    expertise=st.frozensets(st.sampled_from(["code", "math"])),
    quality=ranks,
    speed=ranks,
    deprecated=st.booleans(),
    certain=st.booleans(),
)
catalogues = st.lists(cards, max_size=12, unique_by=lambda card: card.name)
requirements = st.builds(
    Requirements,
    capabilities=subsets,
    modalities=st.sampled_from([frozenset(), frozenset({"text"}), frozenset({"image"})]),
    expertise=st.frozensets(st.sampled_from(["code", "math"])),
    providers=st.sampled_from([(), ("openai",), ("mistral",)]),
    context=st.none() | st.sampled_from([1, 8_000, 200_000]),
    max_cost=st.none() | st.sampled_from([0.0, 1.0, 100.0]),
    min_size=sizes,
    max_size=sizes,
)
selections = st.sampled_from(SELECTIONS)


def names(known: list[ModelCard], requires: Requirements, selection: Selection) -> list[ModelName]:
    return [picked.card.name for picked in select(known, requires, selection)]


def least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


def most(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)


def both(one: Requirements, other: Requirements) -> Requirements:
    context = most(one.context, other.context)
    return Requirements(
        one.capabilities | other.capabilities,
        one.modalities | other.modalities,
        one.expertise | other.expertise,
        one.providers if one.providers == other.providers else one.providers or other.providers,
        int(context) if context is not None else None,
        least(one.max_cost, other.max_cost),
        most(one.min_size, other.min_size),
        least(one.max_size, other.max_size),
    )


@given(catalogues, requirements, selections, st.randoms())
def test_the_same_models_come_out_whatever_else_is_asked_and_however_often(
    known: list[ModelCard], requires: Requirements, selection: Selection, chance: object
) -> None:
    assert names(known, requires, selection) == names(list(known), requires, selection)
    picked = names(known, requires, selection)
    # The order of two does not depend on which others there are.
    for absent in known:
        rest = [card for card in known if card is not absent]
        assert names(rest, requires, selection) == [name for name in picked if name != absent.name]


@given(catalogues, requirements, requirements, selections)
def test_asking_for_more_only_leaves_models_out(
    known: list[ModelCard], one: Requirements, other: Requirements, selection: Selection
) -> None:
    stricter = both(one, other)
    few, many = names(known, stricter, selection), names(known, one, selection)
    assert few == [name for name in many if name in few]


@given(catalogues, requirements, selections)
def test_no_requirement_is_ever_violated(known: list[ModelCard], requires: Requirements, selection: Selection) -> None:
    for picked in select(known, requires, selection):
        card = picked.card
        assert requires.capabilities <= card.capabilities
        assert requires.modalities <= card.modalities
        assert requires.expertise <= card.expertise
        assert not requires.providers or card.name.provider in requires.providers
        assert requires.context is None or (card.context_window is not None and card.context_window >= requires.context)
        if requires.max_cost is not None:
            assert card.input_price is not None
            assert card.output_price is not None
            assert max(card.input_price, card.output_price) <= requires.max_cost
        assert requires.min_size is None or (card.size is not None and card.size >= requires.min_size)
        assert requires.max_size is None or (card.size is not None and card.size <= requires.max_size)
        assert not card.deprecated


@given(cards, requirements)
def test_what_is_not_known_of_a_named_model_is_taken_for_granted_but_not_its_price(
    card: ModelCard, requires: Requirements
) -> None:
    if not violation(card, requires):
        assert not violation(card, requires, trusting=True)
    nothing_known = ModelCard(card.name)
    expected = requires.max_cost is not None or bool(
        requires.providers and card.name.provider not in requires.providers
    )
    assert bool(violation(nothing_known, requires, trusting=True)) == expected


@given(catalogues)
def test_each_way_of_selecting_puts_its_own_first(known: list[ModelCard]) -> None:
    fits = [card for card in known if not unfit(card, Requirements())]
    if not fits:
        return
    best = {selection: select(known, Requirements(), selection)[0].card for selection in SELECTIONS}
    assert (best["quality"].quality or 2) == max(card.quality or 2 for card in fits)
    assert (best["speed"].speed or 2) == max(card.speed or 2 for card in fits)
    priced = [(3 * c.input_price + c.output_price) for c in fits if None not in (c.input_price, c.output_price)]  # type: ignore[operator]
    cheap = best["cost"]
    assert not priced or 3 * (cheap.input_price or 0) + (cheap.output_price or 0) == min(priced)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_better_model_at_the_same_price_is_never_behind(selection: Selection) -> None:
    worse = ModelCard(ModelName("openai", "a"), input_price=1, output_price=2, quality=2, speed=3)
    better = replace(worse, name=ModelName("openai", "b"), quality=4)
    assert names([worse, better], Requirements(), selection)[0].model == "b"


def test_the_real_catalogue_is_selected_from_and_says_why() -> None:
    known = Catalogue().cards()
    requires = Requirements(capabilities=frozenset({"vision"}), context=500_000, max_cost=5)
    picked = select(known, requires, "quality")
    assert picked[0].why.startswith(
        f"the best of {len(picked)} that fit (vision, context of 500,000 tokens, at most $5"
    )
    assert "number 2" in picked[1].why
    embedding = select(known, Requirements(), "cost", "embeddings")
    assert embedding
    assert all("embeddings" in each.card.capabilities for each in embedding)
    assert not {each.card.name for each in embedding} & {each.card.name for each in select(known, Requirements())}
