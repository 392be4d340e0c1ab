"""Secrets reach the tools, and nothing else: no event, no error, no status, no byte of the store."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

import orchestrator as orc
from tests.runtime.support import Bench, ended, pipeline, step

SECRET = "s3cr3t/Wört=42"
INPUTS = {"key": {"type": "string", "secret": True, "default_from_env": "TEST_KEY"}}


def bytes_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def forms() -> list[bytes]:
    texts = [SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()[:-4], "W\\u00f6rt"]
    return [text.encode() for text in texts]


def test_a_secret_is_nowhere_in_the_store(client: orc.Orchestrator, tmp_path: Path) -> None:
    seen: list[str] = []

    @orc.tool
    async def login(key: str, context: orc.ToolContext) -> dict[str, str]:
        seen.append(key)
        context.progress(0.5, f"with {key}")
        context.log(f"Authorization: Basic {base64.b64encode(f'user:{key}'.encode()).decode()}")
        return {"url": f"https://example.org/?key={quote(key, safe='')}", key: "as a key", "long": key * 5000}

    @orc.tool
    async def refuse(key: str) -> None:
        raise ValueError(f"wrong key {key!r}")

    with orc.Orchestrator(directory=tmp_path, tools=[login, refuse]) as other:
        plan = other.compile(
            pipeline(
                step("a", "login", key="{{ key }}"),
                step("b", "refuse", key="{{ a.url }}{{ key }}", on_failure="continue"),
                step("c", "refuse", key="{{ key }}{{ b }}"),
                inputs=INPUTS,
                outputs={"url": "{{ a.url }}"},
            )
        )
        run = plan.start(key=SECRET)
        with pytest.raises(orc.RunFailed) as failed:
            run.result()
        status = repr(run.status())
        result = failed.value.result
        shown = repr([event.to_dict() for event in result.log]) + result.to_markdown() + str(result.to_dict())
    assert seen == [SECRET]
    everything = bytes_of(tmp_path)
    for form in forms():
        assert form not in everything
        assert form.decode() not in str(failed.value) + status + shown
    assert "[redacted:key#" in str(failed.value)


def test_an_invalid_secret_is_not_quoted(client: orc.Orchestrator) -> None:
    plan = client.compile(pipeline(step("a", value="{{ key }}"), inputs={"key": {**INPUTS["key"], "enum": ["x"]}}))
    with pytest.raises(orc.InputError) as caught:
        plan.run(key=SECRET)
    assert SECRET not in str(caught.value)


def test_a_resumed_run_needs_its_secrets_again_and_reads_what_it_read(
    client: orc.Orchestrator, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.failures["b"] = 1
    plan = pipeline(
        step("a", value="token {{ key }}"),
        step("b", "flaky", value="{{ a | upper }}"),
        inputs=INPUTS,
        outputs={"same": "{{ a == 'token ' ~ key }}", "hidden": "{{ a }}"},
    )
    failed = ended(client.compile(plan), key=SECRET)
    assert failed.state == "failed"
    with pytest.raises(orc.InputError) as missing:
        client.resume(failed.run_id)
    assert missing.value.code == "ORC604"
    assert "TEST_KEY" in str(missing.value)
    monkeypatch.setenv("TEST_KEY", SECRET)
    outputs = client.resume(failed.run_id).result().outputs
    assert outputs["same"] is True
    assert SECRET not in outputs["hidden"]
    assert bench.calls == ["a", "b", "b"]


@pytest.mark.parametrize("secret", ["1", "0", "e", "attempt", "error", "steps", "output", "a"])
def test_a_secret_that_is_a_word_or_number_of_ours_leaves_the_record_readable(
    client: orc.Orchestrator, bench: Bench, secret: str
) -> None:
    bench.failures["b"] = 1
    declared = {"key": {"type": "string", "secret": True}, "pin": {"type": "integer", "secret": True}}
    plan = pipeline(
        step("a", value="{{ key }}{{ pin }}"),
        step("b", "flaky", value="{{ a }}"),
        inputs=declared,
        outputs={"attempt": "{{ a }}"},
    )
    failed = ended(client.compile(plan), key=secret, pin=1)
    error = client.get_run(failed.run_id).status().error
    assert error is not None
    assert (failed.state, error["step"], error["attempt"], error["code"]) == ("failed", "b", 1, "ORC701")
    assert failed.steps["b"].attempts == 1
    assert failed.to_markdown()
    assert list(client.resume(failed.run_id, inputs={"key": secret, "pin": 1}).result().outputs) == ["attempt"]
