"""Clients that record what models answer, and that play recordings: the same pipeline again, without network or keys.

A recording is found by the content of the request. Equal requests are distinguished by their order.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from orchestrator.errors import ConfigurationError, ModelError, RecordingMissing
from orchestrator.models.clients.fake import pieces
from orchestrator.models.media import MediaReply, not_made
from orchestrator.models.messages import Embeddings, ModelName, ModelReply, current_step
from orchestrator.models.recordings.format import (
    Outcome,
    Recording,
    Scrub,
    SearchResults,
    embedding_request_data,
    file_name,
    is_file_name,
    key_of,
    make_room,
    media_request_data,
    read_all,
    request_data,
    search_request_data,
    unchanged,
    write,
)
from orchestrator.models.recordings.media_files import read_media, write_media
from orchestrator.remedies import StartRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from orchestrator.models.media import MediaRequest
    from orchestrator.models.messages import ModelClient, ModelRequest
    from orchestrator.remedies import Remedy

_T = TypeVar("_T", ModelReply, Embeddings, SearchResults, MediaReply)


class RecordingClient:
    """Asks `client`, and writes each request with what came of it into a directory.

    `scrub` takes secrets out of JSON data. A recording of an equal request that was there before is replaced. An error
    that may pass is recorded too, until the same request is made again and succeeds.

    Raises:
        ConfigurationError: The directory cannot be made, or not be written.
    """

    needs_keys = True
    """It asks real models: those that a pipeline names need their keys and packages."""

    def __init__(self, client: ModelClient, directory: str | Path, *, scrub: Scrub = unchanged) -> None:
        self._client = client
        self.directory = Path(directory).absolute()
        make_room(self.directory)
        self._scrub = scrub
        self._numbers: dict[str, int] = {}
        self._again: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self.written: set[str] = set()
        """The names of the files that were written."""

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Return the client's answer to one request, recorded."""
        entry = _RecordingEntry(self, request_data(name, request, self._scrub))
        try:
            reply = await self._client.ask(name, request, on_text=on_text)
        except BaseException as error:
            entry.failed(error)
            raise
        entry.write(reply)
        return reply

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Return the client's vectors of some texts, recorded."""
        entry = _RecordingEntry(self, embedding_request_data(name, texts, self._scrub))
        try:
            vectors = await self._client.embed(name, texts)
        except BaseException as error:
            entry.failed(error)
            raise
        entry.write(vectors)
        return vectors

    async def make(self, name: ModelName, request: MediaRequest) -> MediaReply:
        """Return the pictures, speech or transcript that the client makes, recorded; media are files."""
        make = getattr(self._client, "make", None)
        if make is None:
            raise not_made(name)
        entry = _RecordingEntry(self, media_request_data(name, request, self._scrub))
        try:
            reply: MediaReply = await make(name, request)
            self.written |= write_media(self.directory, reply)
        except BaseException as error:
            entry.failed(error)
            raise
        entry.write(reply)
        return reply

    async def search(
        self, request: Mapping[str, Any], search: Callable[[], Awaitable[list[dict[str, Any]]]], *, step: str
    ) -> list[dict[str, Any]]:
        """Return the results of a search of the web by a step, recorded."""
        current_step.set(step)
        entry = _RecordingEntry(self, search_request_data(request, self._scrub))
        try:
            results = await search()
        except BaseException as error:
            entry.failed(error)
            raise
        entry.write(SearchResults(tuple(results)))
        return results

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def remove_stale(self) -> None:
        """Remove what is left of earlier recordings of the requests that were made."""
        keys = {name.removesuffix(".json").partition("-")[0] for name in self.written}
        for path in self.directory.glob("*-*.json"):
            if path.name not in self.written and path.name.partition("-")[0] in keys:
                path.unlink(missing_ok=True)

    def _number(self, key: str) -> int:
        """Take the number of the next request of this content."""
        with self._lock:
            if again := self._again.get(key):
                return again.pop(0)
            self._numbers[key] = self._numbers.get(key, 0) + 1
            return self._numbers[key]

    def _leave(self, key: str, number: int) -> None:
        """Give a number back: when the request is made again, what comes of it then counts."""
        with self._lock:
            self._again.setdefault(key, []).append(number)

    def _write(self, recording: Recording) -> None:
        write(self.directory, recording, self._scrub)
        self.written.add(recording.name)


def remove_others(directory: Path, written: Collection[str]) -> list[str]:
    """Remove all recordings of a directory but those that were just written; return their names."""
    found = (path for path in sorted(directory.glob("*.*")) if is_file_name(path.name))
    others = [path for path in found if path.name not in written]
    for path in others:
        path.unlink(missing_ok=True)
    return [path.name for path in others]


class _RecordingEntry:
    """One request that is being recorded."""

    def __init__(self, recorder: RecordingClient, request: Mapping[str, Any]) -> None:
        self._recorder = recorder
        self._request = request
        self._key = key_of(request)
        self._number = recorder._number(self._key)  # noqa: SLF001 - a class of this module

    def write(self, outcome: Outcome) -> None:
        name = file_name(self._key, self._number)
        self._recorder._write(Recording(name, current_step.get(), self._request, self._number, outcome))  # noqa: SLF001 - a class of this module

    def failed(self, error: BaseException) -> None:
        if isinstance(error, ModelError):
            self.write(error)
        if not isinstance(error, ModelError) or error.retryable:
            self._recorder._leave(self._key, self._number)  # noqa: SLF001 - a class of this module


class ReplayClient:
    """Answers from the recordings of a directory without calling a model.

    Equal requests get the recordings in their order, and the last one again when there are no more. `scrub` takes
    secrets out of JSON data, as when it was recorded. `again` is how recordings are made again. With
    `missing_ok` a directory that is not there has no recordings, which matters once something is asked.

    Raises:
        ConfigurationError: The directory does not exist, or a file in it is not a recording.
    """

    def __init__(
        self, directory: str | Path, *, scrub: Scrub = unchanged, again: Remedy | None = None, missing_ok: bool = False
    ) -> None:
        self.directory = Path(directory)
        self._scrub = scrub
        self._again = again or StartRun(record=str(directory))
        if not self.directory.is_dir() and not missing_ok:
            raise ConfigurationError(f"recordings directory `{self.directory}` does not exist", remedies=[self._again])
        self._recordings = read_all(self.directory) if self.directory.is_dir() else []
        self._by_key: dict[str, list[Recording]] = {}
        for recording in sorted(self._recordings, key=lambda each: each.number):
            self._by_key.setdefault(recording.key, []).append(recording)
        self._given: dict[str, int] = {}
        self._lock = threading.Lock()
        self.used: set[str] = set()
        """The names of the recordings that were played."""

    @property
    def auto(self) -> ModelName | None:
        """What answers for `auto`: the model that has most of the recordings."""
        counts = Counter(_model_of(each) for each in self._recordings if "model" in each.request)
        return max(counts, key=lambda name: (counts[name], str(name)), default=None)

    @property
    def models(self) -> frozenset[ModelName]:
        """The models that were recorded: those that a step can choose among where it names none."""
        return frozenset(_model_of(each) for each in self._recordings if "model" in each.request)

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Return the recorded answer to a request like this one.

        Raises:
            RecordingMissing: No recording matches.
            ModelError: That is what was recorded.
        """
        await asyncio.sleep(0)  # others get their turn, as they would while a model answers
        reply = self._outcome(request_data(name, request, self._scrub), ModelReply)
        if on_text is not None:
            for piece in pieces(reply.text):
                on_text(piece)
        return reply

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Return the recorded vectors of these texts.

        Raises:
            RecordingMissing: There are none.
            ModelError: That is what was recorded.
        """
        await asyncio.sleep(0)
        return self._outcome(embedding_request_data(name, texts, self._scrub), Embeddings)

    async def make(self, name: ModelName, request: MediaRequest) -> MediaReply:
        """Return the recorded pictures, speech or transcript.

        Raises:
            RecordingMissing: There are none, or a file of theirs is missing.
            ModelError: That is what was recorded.
        """
        await asyncio.sleep(0)
        reply = self._outcome(media_request_data(name, request, self._scrub), MediaReply)
        return read_media(self.directory, reply, self._again)

    async def search(
        self, request: Mapping[str, Any], search: Callable[[], Awaitable[list[dict[str, Any]]]], *, step: str
    ) -> list[dict[str, Any]]:
        """Return the recorded results of a search of the web by a step.

        Raises:
            RecordingMissing: There are none.
        """
        current_step.set(step)
        await asyncio.sleep(0)
        found = self._outcome(search_request_data(request, self._scrub), SearchResults)
        return [dict(each) for each in found.results]

    async def aclose(self) -> None:
        """Do nothing: no connection is open."""

    def _outcome(self, request: Mapping[str, Any], kind: type[_T]) -> _T:
        key = key_of(request)
        found = [each for each in self._by_key.get(key, ()) if isinstance(each.outcome, kind | ModelError)]
        if not found:
            raise self._missing(request)
        with self._lock:
            number = self._given.get(key, 0)
            self._given[key] = number + 1
            recording = found[min(number, len(found) - 1)]
            self.used.add(recording.name)
        outcome = recording.outcome
        if isinstance(outcome, ModelError):
            raise outcome
        return cast("_T", outcome)  # of this kind, as all of `found` that are no errors

    def _missing(self, request: Mapping[str, Any]) -> RecordingMissing:
        from orchestrator.models.recordings.diff import difference, nearest

        step = current_step.get()
        who = f"step `{step}`" if step else "the program"
        asked = request["model"] if "model" in request else request["search"]["provider"]
        message = f"no recording in `{self.directory}` matches the request of {who} to `{asked}`"
        near = nearest(request, step, self._recordings)
        help, remedies = "an intended change needs new recordings", (self._again,)
        if near is None:
            return RecordingMissing(f"{message}: it has none", help=help, remedies=remedies)
        lines = difference(near.request, request)
        where = f" of step `{near.step}`" if near.step != step and near.step else ""
        listed = "".join(f"\n  {line}" for line in lines)
        message += f"; the nearest is `{near.name}`{where}; [-recorded-] is now {{+requested+}}:{listed}"
        return RecordingMissing(message, nearest=near.name, difference=lines, help=help, remedies=remedies)


def _model_of(recording: Recording) -> ModelName:
    provider, _, model = recording.request["model"].partition(":")
    return ModelName(provider, model or provider)
