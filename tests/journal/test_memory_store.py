"""The memory in the store, on both databases: what a dictionary would do, with times, bounds and writes made once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.errors import StepError
from orchestrator.journal import Store
from orchestrator.journal.store import memory_store
from orchestrator.journal.store.memory_store import StoredMemory
from orchestrator.journal.store.migrations import upgrade
from orchestrator.journal.store.tables import VERSION_TABLE, memory_writes, metadata
from orchestrator.tools.memory.service import Memory
from orchestrator.tools.memory.settings import MemorySettings

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """The time of the database, as the test sets it."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def memory_of(store: Store, clock: Clock | None = None, project: str = "", **given: Any) -> Memory:
    return Memory(StoredMemory(store.database, project, clock=clock), MemorySettings(**given))


def keys(memory: Memory, namespace: str = "n", prefix: str = "", after: str = "", limit: int = 1000) -> list[str]:
    return [each.key for each in memory.entries(namespace, prefix=prefix, after=after, limit=limit)]


NAMES = st.sampled_from(["a", "A", "a%", "a_", "ab", "ä", "Ä", "z/1", "😀"])
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), st.lists, max_leaves=4)


class LikeADictionary(RuleBasedStateMachine):
    """A memory and a dictionary are changed in the same way, and hold the same."""

    store: Store
    now: Clock

    @initialize()
    def begin(self) -> None:
        type(self).number = getattr(type(self), "number", 0) + 1
        self.now = Clock()
        self.memory = memory_of(self.store, self.now, project=f"p{self.number}", max_keys=20)
        self.expected: dict[tuple[str, str], tuple[Any, float | None]] = {}
        self.writes = 0

    def once(self) -> str:
        self.writes += 1
        return f"{self.number}:{self.writes}"

    @rule(namespace=NAMES, key=NAMES, value=VALUES, ttl=st.none() | st.integers(1, 50))
    def put(self, namespace: str, key: str, value: Any, ttl: int | None) -> None:
        done = self.memory.put(namespace, key, value, ttl=ttl, once=self.once())
        assert done["created"] == ((namespace, key) not in self.expected)
        self.expected[namespace, key] = value, None if ttl is None else self.now.now + ttl

    @rule(namespace=NAMES, key=NAMES, value=VALUES, keep=st.none() | st.integers(1, 3))
    def append(self, namespace: str, key: str, value: Any, keep: int | None) -> None:
        before = self.expected.get((namespace, key), ([], None))[0]
        if not isinstance(before, list):
            with pytest.raises(StepError, match="only a list can be appended to"):
                self.memory.append(namespace, key, [value], keep=keep, ttl=None, once=self.once())
            return
        after = [*before, value][-(keep or 100) :]
        done = self.memory.append(namespace, key, [value], keep=keep, ttl=None, once=self.once())
        assert done["count"] == len(after)
        self.expected[namespace, key] = after, None

    @rule(namespace=NAMES, key=NAMES)
    def delete(self, namespace: str, key: str) -> None:
        removed = self.memory.delete(namespace, key=key, once=self.once())
        assert removed == (self.expected.pop((namespace, key), None) is not None)

    @rule(namespace=NAMES, prefix=NAMES)
    def clear(self, namespace: str, prefix: str) -> None:
        gone = [each for each in self.expected if each[0] == namespace and each[1].startswith(prefix)]
        assert self.memory.delete(namespace, prefix=prefix, once=self.once()) == len(gone)
        for each in gone:
            del self.expected[each]

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.now.now += seconds
        for name, (_, expires) in list(self.expected.items()):
            if expires is not None and expires <= self.now.now:
                del self.expected[name]

    @rule(namespace=NAMES, prefix=NAMES)
    def prefixes(self, namespace: str, prefix: str) -> None:
        found = sorted(key for name, key in self.expected if name == namespace and key.startswith(prefix))
        assert keys(self.memory, namespace, prefix) == found

    @invariant()
    def holds_the_same(self) -> None:
        for namespace in {name for name, _ in self.expected} | {"a", "A"}:
            expected = sorted(key for name, key in self.expected if name == namespace)
            assert keys(self.memory, namespace) == expected
            assert keys(self.memory, namespace, limit=1) == expected[:1]
            assert keys(self.memory, namespace, after="a") == [key for key in expected if key > "a"]
        for (namespace, key), (value, expires) in self.expected.items():
            entry = self.memory.get(namespace, key)
            assert entry is not None
            assert (entry.value, entry.expires_at) == (value, expires)


def test_a_memory_holds_what_a_dictionary_would(store: Store):
    machine = type("OnThisStore", (LikeADictionary,), {"store": store})
    machine.TestCase.settings = settings(
        max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    machine.TestCase("runTest").runTest()


def test_a_write_is_made_once_for_each_step_and_value(store: Store):
    memory = memory_of(store)
    first = memory.append("n", "k", [1], keep=None, ttl=None, once="run:a")
    assert memory.append("n", "k", [1], keep=None, ttl=None, once="run:a") == first
    memory.append("n", "k", [1], keep=None, ttl=None, once="run:b")
    memory.put("n", "other", "mine", ttl=None, once="run:c")
    memory.put("n", "other", "yours", ttl=None, once="run:d")
    memory.put("n", "other", "mine", ttl=None, once="run:c")  # its second attempt, after a crash
    assert memory.delete("n", key="gone", once="run:e") == 0
    memory.put("n", "gone", 1, ttl=None, once="run:f")
    assert memory.delete("n", key="gone", once="run:e") == 0
    found = {key: entry.value for key in keys(memory) if (entry := memory.get("n", key)) is not None}
    assert found == {"k": [1, 1], "other": "yours", "gone": 1}
    memory.put("n", "other", "edited", ttl=None, once="run:c")  # run again with another value
    assert (found := memory.get("n", "other")) is not None
    assert found.value == "edited"


def test_appends_at_the_same_time_lose_nothing(store: Store):
    memory = memory_of(store)

    def work(name: int) -> None:
        for number in range(10):
            memory.append("n", "k", [[name, number]], keep=None, ttl=None, once=f"{name}:{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entry = memory.get("n", "k")
    assert entry is not None
    assert sorted(entry.value) == [[name, number] for name in range(4) for number in range(10)]


def test_projects_that_share_a_store_share_no_memory(store: Store):
    one, two = memory_of(store, project="one"), memory_of(store, project="two")
    one.put("n", "k", 1, ttl=None, once="a")
    assert two.get("n", "k") is None
    two.delete("n", once="b")
    assert one.get("n", "k") is not None


def test_values_and_namespaces_have_bounds(store: Store, monkeypatch: pytest.MonkeyPatch):
    memory = memory_of(store, max_keys=2, max_value=20)
    for number in range(2):
        memory.put("n", f"k{number}", number, ttl=None, once=f"a{number}")
    with pytest.raises(StepError, match="has 2 keys, which is its limit") as full:
        memory.put("n", "k2", 2, ttl=None, once="b")
    assert "`max_keys` of `[memory]`" in (full.value.help or "")
    memory.put("n", "k0", "replaced", ttl=None, once="c")
    with pytest.raises(StepError, match="`k0` has 32 bytes as JSON, and the limit is 20"):
        memory.put("n", "k0", "é" * 15, ttl=None, once="d")
    memory.append("m", "k", ["x" * 10], keep=None, ttl=None, once="e")
    with pytest.raises(StepError, match="has 27 bytes as JSON"):
        memory.append("m", "k", ["x" * 10], keep=None, ttl=None, once="f")
    monkeypatch.setattr(memory_store, "MOST_ENTRIES", 3)
    with pytest.raises(StepError, match="the memory has 3 keys, which is its limit"):
        memory.put("new", "k", 1, ttl=None, once="g")


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb", "\ud800", "k" * 501, "é" * 251])
def test_names_that_no_database_could_hold_are_refused(store: Store, name: str):
    memory = memory_of(store)
    with pytest.raises(StepError):
        memory.put("n", name, 1, ttl=None, once="a")
    with pytest.raises(StepError):
        memory.put(name, "k", 1, ttl=None, once="a")
    assert keys(memory) == []


@pytest.mark.parametrize("value", ["\0", "\ud800", {"\0": ["\udfff"]}, "'; DROP TABLE memories; --"])
def test_any_json_value_comes_back_as_it_was(store: Store, value: Any):
    memory = memory_of(store)
    memory.put("n", "k", value, ttl=None, once="a")
    assert (entry := memory.get("n", "k")) is not None
    assert entry.value == value


def test_a_search_finds_words_in_keys_and_values_the_best_first(store: Store):
    memory = memory_of(store, Clock())
    memory.put("n", "tides", {"place": "Saint-Malo", "range": 13.1}, ttl=None, once="a")
    memory.put("n", "wind", ["Saint-Brieuc", 100], ttl=None, once="b")
    memory.put("n", "percent", "100% of STRASSE_1", ttl=None, once="c")
    memory.put("other", "tides", "Saint-Malo", ttl=None, once="d")

    def found(query: str, limit: int = 10) -> list[str]:
        return [each.key for each in memory.search("n", query, limit)]

    assert found("SAINT malo range") == ["tides", "wind"]
    assert found("saint", 1) == ["tides"]
    assert found("Straße_1") == ["percent"]
    assert found("place 13") == ["tides"]
    assert found("nothing %") == []
    with pytest.raises(StepError, match="contains no word"):
        found("% !")


def test_pruning_removes_what_has_expired_and_old_writes(store: Store):
    memory = memory_of(store)  # by the clock of the database
    memory.put("n", "kept", 1, ttl=None, once="a")
    memory.put("n", "long", 1, ttl=3600, once="b")
    for number in range(250):
        memory.put("n", f"old{number}", 1, ttl=1e-6, once=f"c{number}")
    assert keys(memory) == ["kept", "long"]
    with store.database.write() as connection:
        old = sa.select(memory_writes.c.key).where(memory_writes.c.at > 0).limit(1).scalar_subquery()
        connection.execute(memory_writes.update().where(memory_writes.c.key == old).values(at=0))
    assert store.prune(dry_run=True).memories == 1  # each write removes the others of its namespace
    assert store.prune().memories == 1
    assert store.prune().memories == 0
    with store.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(memory_writes)).scalar() == 251
    assert keys(memory) == ["kept", "long"]


def test_a_store_of_an_older_version_gets_a_memory(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/runs.db"
    with Store.open(url) as store, store.database.write() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        upgrade(connection, "0009")
    with Store.open(url) as store:
        memory = memory_of(store)
        memory.put("n", "k", 1, ttl=None, once="a")
        assert keys(memory) == ["k"]
