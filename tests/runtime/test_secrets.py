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


ALL_AT_ONCE = """
inputs: {key: {type: string, secret: true}}
variables: {auth: "Bearer {{ key }}"}
steps:
  - {id: l, for_each: ["{{ key }}", "{{ auth }}"], on_item_failure: {value: "bad {{ item }}"}, steps: [
      {id: x, tool: refuse, parameters: {value: "{{ item }}"}, on_error: {error_patterns: [other], fallback_value: 1}}]}
  - {id: m, for_each: {k: "{{ key }}"}, tool: echo, parameters: {value: "{{ item.value }}"}, cache: true}
  - {id: sub, pipeline: sub.yaml, inputs: {text: "{{ key }}", key: "{{ auth }}"}, on_failure: continue}
  - {id: sw, switch: "{{ key }}", cases: {x: {tool: echo}}, default: {tool: echo, parameters: {value: "{{ auth }}"}}}
  - {id: ap, approve: {title: "{{ key }}", content: {a: "{{ auth }}"}, default: true}, timeout: 10ms}
  - {id: asked, ask: {prompt: "{{ key }}", choices: ["{{ key }}", b], default: "{{ key }}"}, timeout: 10ms}
  - {id: h, tool: refuse, parameters: {value: "{{ key }}"}, on_error: {
      tool: echo, parameters: {value: "{{ error.message }}"}, fallback_value: "{{ handle }}"}}
  - {id: last, tool: refuse, dependencies: [l, m, sub, sw, ap, asked, h], parameters: {value: "{{ h }}"}}
error_handlers: {tool: echo, parameters: {value: "{{ error.message }}"}}
finally: [{id: f, tool: echo, parameters: {value: "{{ key }}{{ error.message }}"}}]
"""
SUB = """
inputs: {text: {type: string}, key: {type: string, secret: true}}
steps:
  - {id: w, while: iteration < 2, initial: {all: "{{ key }}"}, update: {all: "{{ all ~ key }}"}, steps: [
      {id: x, tool: echo, parameters: {value: "{{ all }}{{ text }}"}}]}
  - {id: refused, tool: refuse, dependencies: [w], parameters: {value: "{{ key }}"}}
finally: [{id: f, tool: refuse, parameters: {value: "{{ key }}"}}]
outputs: {all: "{{ w.all }}"}
"""


def test_no_construct_lets_a_secret_out(bench: Bench, tmp_path: Path) -> None:
    @orc.tool
    async def refuse(value: str) -> None:
        raise orc.StepError(f"refused {value}")

    (tmp_path / "sub.yaml").write_text(SUB, encoding="utf-8")
    (tmp_path / "all.yaml").write_text(ALL_AT_ONCE, encoding="utf-8")
    with orc.Orchestrator(directory=tmp_path, tools=[*bench.tools(), refuse]) as client:
        result = ended(client.compile(tmp_path / "all.yaml"), key=SECRET)
        again = client.fork(result.run_id, from_step="sub", inputs={"key": SECRET})
        again.wait()
        shown = "".join(repr(list(client.get_run(id).events())) for id in (result.run_id, again.id))
    assert result.error is not None
    assert result.error["step"] == "last"
    everything = bytes_of(tmp_path) + shown.encode()
    assert [form for form in forms() if form in everything] == []


CALLING = """
inputs: {key: {type: string, secret: true}}
steps:
  - {id: l, for_each: [a, b], steps: [{id: s, pipeline: sub.yaml, inputs: {key: "key of {{ item }}"}}]}
  - {id: f, tool: flaky, dependencies: [l]}
  - {id: own, tool: take, dependencies: [f], parameters: {value: "{{ key }}"}}
  - {id: theirs, tool: take, dependencies: [own], parameters: {value: "{{ l[0].key }} and {{ l[1].key }}"}}
"""


def test_secrets_of_called_pipelines_are_never_mixed_up(bench: Bench, tmp_path: Path) -> None:
    taken: list[str] = []

    @orc.tool
    async def take(value: str) -> None:
        taken.append(value)

    (tmp_path / "sub.yaml").write_text(
        "inputs: {key: {type: string, secret: true}}\n"
        "steps: [{id: a, tool: echo, parameters: {value: '{{ key }}'}}]\noutputs: {key: '{{ a }}'}\n",
        encoding="utf-8",
    )
    (tmp_path / "p.yaml").write_text(CALLING, encoding="utf-8")
    bench.failures["f"] = 1
    with orc.Orchestrator(directory=tmp_path, tools=[*bench.tools(), take]) as client:
        result = ended(client.compile(tmp_path / "p.yaml"), key="mine")
        with pytest.raises(orc.RunFailed, match=r"secret `key` of `l\[0\].s`.*no longer known"):
            client.resume(result.run_id, inputs={"key": "mine"}).result()
        assert taken == ["mine"]
        client.retry(result.run_id, "l", inputs={"key": "mine"}).result()
    assert taken == ["mine", "mine", "key of a and key of b"]


@pytest.mark.parametrize("secret", ["3", "x", "kind", "count", "for_each", "items"])
def test_a_secret_that_is_a_count_or_a_word_of_ours_leaves_loops_readable(
    client: orc.Orchestrator, bench: Bench, secret: str
) -> None:
    bench.failures["f"] = 1
    text = """
    inputs: {key: {type: string, secret: true}, pin: {type: integer, secret: true}}
    steps:
      - {id: l, for_each: {range: 3}, steps: [{id: x, tool: echo, parameters: {value: "{{ key }}"}}]}
      - {id: f, tool: flaky, dependencies: [l]}
      - {id: n, tool: echo, dependencies: [f], parameters: {value: "{{ l.count + 10 }}"}}
    """
    failed = ended(client.compile(text), key=secret, pin=3)
    status = client.resume(failed.run_id, inputs={"key": secret, "pin": 3}).wait()
    result = client.get_run(failed.run_id).result()
    assert (status.state, result.steps["n"].output, result.steps["l"].items) == (
        "succeeded", 13, {"count": 3, "succeeded": 3, "failed": 0},
    )  # fmt: skip
    assert client.retry(failed.run_id, "l[1].x", inputs={"key": secret, "pin": 3}).result().state == "succeeded"
