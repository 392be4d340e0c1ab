"""Pictures and audio by models: in the forms of OpenAI and Google, within budgets, recorded and replayed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.models.media import PIXEL, wave_file, wave_seconds
from orchestrator.testing import FakeModel, record, replay
from tests.models.media_server import JPEG, SPEECH, MediaServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIGEST = hashlib.sha256(PIXEL).hexdigest()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MediaServer]:
    monkeypatch.setenv("LAB_KEY", "key-of-the-lab")
    with MediaServer() as server:
        (tmp_path / "orchestrator.toml").write_text(server.settings())
        yield server


def pipeline(action: str, **parameters: Any) -> dict[str, Any]:
    step = {"id": "made", "action": action, "parameters": parameters}
    return {"id": "media", "steps": [step], "outputs": {"made": "{{ made }}"}}


def run(directory: Path, action: str, *, models: Any = None, **parameters: Any) -> Any:
    with orc.Orchestrator(directory=directory, models=models) as client:
        return client.compile(pipeline(action, **parameters)).run().steps["made"].output


def failure(directory: Path, action: str, **parameters: Any) -> dict[str, Any]:
    with pytest.raises(orc.RunFailed) as caught:
        run(directory, action, **parameters)
    error: dict[str, Any] = caught.value.result.error
    return error


# --- OpenAI's form


def test_pictures_are_files_with_their_digests(tmp_path: Path, server: MediaServer) -> None:
    made = run(
        tmp_path,
        "image.generate",
        model="lab:painter",
        prompt="A lighthouse",
        path="output/cover.png",
        count=2,
        size="1536x1024",
        quality="high",
    )
    assert server.asked == [
        (
            "/v1/images/generations",
            {
                "model": "painter",
                "prompt": "A lighthouse",
                "n": 2,
                "size": "1536x1024",
                "quality": "high",
                "response_format": "b64_json",
            },
        )
    ]
    assert server.keys == ["Bearer key-of-the-lab"]
    assert made["path"] == "output/cover-1.png"
    assert made["text"] == "a better one"
    assert made["files"] == [
        {"path": f"output/cover-{number}.png", "media_type": "image/png", "size": len(PIXEL), "sha256": DIGEST}
        for number in (1, 2)
    ]
    assert (tmp_path / "output" / "cover-2.png").read_bytes() == PIXEL
    assert made["model"] == "lab:painter"
    assert made["usage"]["output"] == 1_056


def test_pictures_are_edited(tmp_path: Path, server: MediaServer) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    (tmp_path / "b.jpg").write_bytes(JPEG)
    run(
        tmp_path,
        "image.edit",
        model="lab:gpt-image-9",
        image=["a.png", "b.jpg"],
        mask="a.png",
        prompt="At night",
        path="night.webp",
    )
    path, fields = server.asked[0]
    assert path == "/v1/images/edits"
    assert [each[1:] for each in fields.pop("image[]")] == [("image/png", PIXEL), ("image/jpeg", JPEG)]
    assert [each[1:] for each in fields.pop("mask")] == [("image/png", PIXEL)]
    assert fields == {"model": "gpt-image-9", "prompt": "At night", "n": "1", "output_format": "webp"}


def test_recordings_are_transcribed(tmp_path: Path, server: MediaServer) -> None:
    (tmp_path / "talk.wav").write_bytes(SPEECH)
    made = run(tmp_path, "audio.transcribe", model="lab:whisper", file="talk.wav", language="en", prompt="Ada")
    path, fields = server.asked[0]
    assert path == "/v1/audio/transcriptions"
    assert fields.pop("file") == [("recording.wav", "audio/wav", SPEECH)]
    assert fields == {"model": "whisper", "response_format": "verbose_json", "language": "en", "prompt": "Ada"}
    assert made["text"] == "Good morning."
    assert (made["language"], made["seconds"]) == ("english", 90.0)
    assert made["segments"] == [{"start": 0.0, "end": 1.5, "text": "Good morning."}]


def test_texts_are_spoken(tmp_path: Path, server: MediaServer) -> None:
    made = run(tmp_path, "audio.speak", model="lab:voice", text="Good morning", path="a.wav", voice="coral", speed=1.5)
    assert server.asked[0] == (
        "/v1/audio/speech",
        {"model": "voice", "input": "Good morning", "voice": "coral", "speed": 1.5, "response_format": "wav"},
    )
    assert (tmp_path / "a.wav").read_bytes() == SPEECH
    assert (made["media_type"], made["size"], made["seconds"]) == ("audio/wav", len(SPEECH), 1.0)


# --- Google's form


def test_google_makes_pictures(tmp_path: Path, server: MediaServer) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    given = {"model": "gem:painter", "image": "a.png", "prompt": "At night", "path": "b.png", "count": 2}
    made = run(tmp_path, "image.edit", **given, size="1536x1024", quality="high")
    assert [path for path, _ in server.asked] == ["/v1beta/models/painter:generateContent"] * 2
    assert server.keys == ["key-of-the-lab"] * 2
    body = server.asked[0][1]
    assert body["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"],
        "imageConfig": {"aspectRatio": "3:2"},
    }
    assert [list(part) for part in body["contents"][0]["parts"]] == [["text"], ["inlineData"]]
    assert [each["path"] for each in made["files"]] == ["b-1.png", "b-2.png"]
    assert made["usage"]["output"] == 2 * 1_290


def test_google_speaks_and_transcribes(tmp_path: Path, server: MediaServer) -> None:
    made = run(tmp_path, "audio.speak", model="gem:voice", text="Good morning", path="a.wav", instructions="Calmly")
    body = server.asked[0][1]
    assert body["contents"][0]["parts"] == [{"text": "Calmly: Good morning"}]
    assert body["generationConfig"]["speechConfig"]["voiceConfig"] == {"prebuiltVoiceConfig": {"voiceName": "Kore"}}
    assert (made["media_type"], made["seconds"]) == ("audio/wav", 1.0)
    assert (tmp_path / "a.wav").read_bytes() == wave_file(b"\1\0" * 24_000, 24_000)
    heard = run(tmp_path, "audio.transcribe", model="gem:listener", file="a.wav")
    assert (heard["text"], heard["seconds"]) == ("Good morning.", 1.0)


# --- what goes wrong


@pytest.mark.parametrize(
    ("status", "answer", "code", "words"),
    [
        (401, {"error": {"message": "bad key"}}, "ORC725", "bad key"),
        (400, {"error": {"message": "blocked", "code": "moderation_blocked"}}, "ORC725", "blocked"),
        (429, {"error": {"message": "slowly"}}, "ORC722", "slowly"),
        (500, {"error": {"message": "broken"}}, "ORC723", "broken"),
        (200, {"data": []}, "ORC726", "was asked for a picture, and made nothing"),
        (200, {"data": [{"url": "https://elsewhere.example/a.png"}]}, "ORC721", "does not follow the protocol"),
        (200, {"data": [{"b64_json": "not base64!"}]}, "ORC721", "does not follow the protocol"),
        (200, {"data": [{"b64_json": "aGVsbG8="}]}, "ORC726", "made `application/octet-stream`"),
        (200, {"nothing": "here"}, "ORC721", "does not follow the protocol"),
    ],
)
def test_what_a_server_answers_instead_is_reported(
    tmp_path: Path, server: MediaServer, status: int, answer: Any, code: str, words: str
) -> None:
    server.answers = [(status, answer)] * 10
    error = failure(tmp_path, "image.generate", model="lab:painter", prompt="A lighthouse", path="a.png")
    assert error["code"] == code
    assert words in error["message"]
    assert not (tmp_path / "a.png").exists()
    assert "key-of-the-lab" not in json.dumps(error)


def test_a_refusal_is_one(tmp_path: Path, server: MediaServer) -> None:
    server.answers = [(200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})]
    error = failure(tmp_path, "image.generate", model="gem:painter", prompt="A lighthouse", path="a.png")
    assert (error["code"], error["message"]) == ("ORC724", "`painter` refused: prohibited content")


def test_an_answer_that_is_too_large_is_not_read(tmp_path: Path, server: MediaServer) -> None:
    file = tmp_path / "orchestrator.toml"
    file.write_text(file.read_text().replace('kind = "openai"', 'kind = "openai"\nmax_bytes = 1000'))
    server.answers = [(200, b"RIFF    WAVE" + bytes(5_000))]
    error = failure(tmp_path, "audio.speak", model="lab:voice", text="Good morning", path="a.wav")
    assert error["code"] == "ORC733"


@pytest.mark.parametrize(
    ("action", "parameters", "code"),
    [
        ("image.generate", {"prompt": "A lighthouse", "path": "../a.png"}, "ORC703"),
        ("image.generate", {"prompt": " ", "path": "a.png"}, "ORC708"),
        ("image.generate", {"prompt": "A lighthouse", "path": "a.png", "count": 11}, "ORC708"),
        ("image.edit", {"image": "talk.wav", "prompt": "At night", "path": "a.png"}, "ORC708"),
        ("image.edit", {"image": [], "prompt": "At night", "path": "a.png"}, "ORC708"),
        ("audio.transcribe", {"file": "a.png"}, "ORC708"),
        ("audio.speak", {"text": "long " * 1_000, "path": "a.mp3"}, "ORC708"),
        ("audio.speak", {"text": "Hello", "path": "a.mp3", "speed": 9}, "ORC708"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_it_costs_anything(
    tmp_path: Path, server: MediaServer, action: str, parameters: dict[str, Any], code: str
) -> None:
    (tmp_path / "talk.wav").write_bytes(SPEECH)
    (tmp_path / "a.png").write_bytes(PIXEL)
    given = {name: "{{ inputs.given." + name + " }}" for name in parameters}
    step = {"id": "made", "action": action, "parameters": {**given, "model": "lab:painter"}}
    document = {"id": "media", "inputs": {"given": {"type": "object"}}, "steps": [step]}
    with orc.Orchestrator(directory=tmp_path) as client, pytest.raises(orc.RunFailed) as caught:
        client.compile(document).run(given=parameters)
    assert caught.value.result.error["code"] == code
    assert server.asked == []


def test_cancelling_ends_a_request(tmp_path: Path, server: MediaServer) -> None:
    server.held = True
    with orc.Orchestrator(directory=tmp_path) as client:
        document = pipeline("image.generate", model="lab:painter", prompt="A lighthouse", path="a.png")
        started = client.compile(document).start()
        assert server.arrived.wait(300)
        started.cancel(reason="enough")
        assert started.wait(timeout=300).state == "cancelled"
    assert not (tmp_path / "a.png").exists()


# --- models, prices and budgets


@pytest.mark.parametrize(
    ("action", "model", "words"),
    [
        ("image.generate", "openai:gpt-6-luna", "does not make pictures"),
        ("audio.speak", "openai:gpt-image-1", "does not make speech"),
        ("audio.transcribe", "openai:tts-1", "does not transcribe recordings"),
        ("generate_text", "openai:gpt-image-1", "makes pictures, not text"),
    ],
)
def test_a_model_that_makes_something_else_is_an_error_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, model: str, words: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    given = {"image.generate": {"prompt": "x", "path": "a.png"}, "audio.speak": {"text": "x", "path": "a.mp3"}}
    given |= {"audio.transcribe": {"file": "a.wav"}, "generate_text": {"prompt": "x"}}
    (tmp_path / "a.wav").write_bytes(SPEECH)
    with orc.Orchestrator(directory=tmp_path) as client:
        found = client.check(pipeline(action, model=model, **given[action])).diagnostics
    assert [each.code for each in found] == ["ORC424"]
    assert words in found[0].message


PRICED = """
[models."lab:painter"]
capabilities = ["image_generation"]
image_price = 0.25
[models."lab:whisper"]
capabilities = ["transcription"]
minute_price = 0.5
[models."lab:voice"]
capabilities = ["speech"]
character_price = 1000
"""


def test_prices_are_by_the_picture_the_minute_and_the_character(tmp_path: Path, server: MediaServer) -> None:
    file = tmp_path / "orchestrator.toml"
    file.write_text(file.read_text() + PRICED)
    (tmp_path / "talk.wav").write_bytes(SPEECH)
    made = run(tmp_path, "image.generate", model="lab:painter", prompt="A lighthouse", path="a.png", count=2)
    assert made["cost"] == pytest.approx(0.5)
    made = run(tmp_path, "audio.transcribe", model="lab:whisper", file="talk.wav")
    assert made["cost"] == pytest.approx(0.5 * 1.5)
    made = run(tmp_path, "audio.speak", model="lab:voice", text="x" * 100, path="a.wav")
    assert made["cost"] == pytest.approx(0.1)


def test_a_budget_holds(tmp_path: Path, server: MediaServer) -> None:
    file = tmp_path / "orchestrator.toml"
    file.write_text(file.read_text() + PRICED)
    document = pipeline("image.generate", model="lab:painter", prompt="A lighthouse", path="a.png", count=3)
    with orc.Orchestrator(directory=tmp_path) as client, pytest.raises(orc.RunFailed) as caught:
        client.compile({**document, "budget": {"usd": 0.6}}).run()
    assert caught.value.result.error["code"] == "ORC727"
    assert server.asked == []


def test_a_step_without_a_model_takes_one_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    fake = FakeModel({"made": [PIXEL]})
    made = run(tmp_path, "image.generate", models=fake, prompt="A lighthouse", path="a.png")
    assert made["model"].partition(":")[2].startswith(("gpt-image", "chatgpt-image", "gemini"))


# --- recordings


def test_what_was_made_is_recorded_and_replayed(tmp_path: Path, server: MediaServer) -> None:
    recordings = tmp_path / "recordings"
    given: dict[str, Any] = {"model": "lab:painter", "prompt": "A lighthouse", "path": "a.png"}
    spoken: dict[str, Any] = {"model": "lab:voice", "text": "Good morning", "path": "a.wav"}
    for action, parameters in (("image.generate", given), ("audio.speak", spoken)):
        run(tmp_path, action, models=record(recordings, project=tmp_path), **parameters)
    heard = run(
        tmp_path, "audio.transcribe", models=record(recordings, project=tmp_path), model="lab:whisper", file="a.wav"
    )
    asked = len(server.asked)
    files = sorted(path.suffix for path in recordings.iterdir())
    assert files == [".json", ".json", ".json", ".png", ".wav"]
    (tmp_path / "a.png").unlink()
    made = run(tmp_path, "image.generate", models=replay(recordings), **given)
    assert (tmp_path / "a.png").read_bytes() == PIXEL
    assert made["files"][0]["sha256"] == DIGEST
    run(tmp_path, "audio.speak", models=replay(recordings), **spoken)
    again = run(tmp_path, "audio.transcribe", models=replay(recordings), model="lab:whisper", file="a.wav")
    assert again["text"] == heard["text"]
    assert again["segments"] == heard["segments"]
    assert len(server.asked) == asked
    assert "key-of-the-lab" not in "".join(path.read_text() for path in recordings.glob("*.json"))


def test_a_changed_request_or_a_changed_file_is_no_recording(tmp_path: Path, server: MediaServer) -> None:
    recordings = tmp_path / "recordings"
    given: dict[str, Any] = {"model": "lab:painter", "prompt": "A lighthouse", "path": "a.png"}
    run(tmp_path, "image.generate", models=record(recordings, project=tmp_path), **given)
    error = failure(tmp_path, "image.generate", models=replay(recordings), **{**given, "prompt": "A harbour"})
    assert error["code"] == "ORC730"
    assert "[-lighthouse-]" in error["message"]
    [file] = recordings.glob("*.png")
    file.write_bytes(JPEG)
    error = failure(tmp_path, "image.generate", models=replay(recordings), **given)
    assert error["code"] == "ORC730"
    assert "is missing, or has changed" in error["message"]


def test_a_fake_model_makes_examples(tmp_path: Path) -> None:
    made = run(tmp_path, "image.generate", models=FakeModel(), model="openai:gpt-image-1", prompt="x", path="a")
    assert made["path"] == "a.png"
    made = run(tmp_path, "audio.speak", models=FakeModel(), model="openai:tts-1", text="x", path="a.wav")
    assert made["seconds"] == pytest.approx(0.1)
    fake = FakeModel({"made": "Good morning"})
    heard = run(tmp_path, "audio.transcribe", models=fake, model="openai:whisper-1", file="a.wav")
    assert heard["text"] == "Good morning"


def test_the_length_of_a_wave_file_is_in_its_header() -> None:
    assert wave_seconds(wave_file(bytes(48_000), 24_000)) == 1.0
    assert wave_seconds(b"RIFF") is None
    assert wave_seconds(b"RIFF\0\0\0\0WAVE" + b"junk" * 3) is None
