"""The cost of compiling."""

from typing import Any

STEP = """\
  - id: s{number}
    tool: work
    parameters:
      before: "{before}"
      title: "step {number} on {{{{ topic | upper }}}}"
      size: "{{{{ (topic | length) + {number} }}}}"
"""


def pipeline_text(length: int) -> str:
    """Return a pipeline of as many steps, with three expressions each."""
    lines = ["id: compiled\ninputs:\n  topic: solar cells\nsteps:\n"]
    for number in range(length):
        before = f"{{{{ s{number - 1} }}}}" if number else "{{ topic | lower }}"
        lines.append(STEP.format(number=number, before=before))
    return "".join(lines)


def compile_once(length: int, clock: Any) -> dict[str, Any]:
    """Compile a pipeline in a process that has compiled a small one before, so that everything is loaded."""
    import orchestrator as orc

    @orc.tool
    async def work(before: object, title: str, size: int) -> int:
        """Take three parameters."""
        return 1

    with orc.Orchestrator(tools=[work]) as client:
        client.compile(pipeline_text(1))
        text = pipeline_text(length)
        clock.start()
        pipeline = client.compile(text)
        clock.stop()
        return {"stored": len(pipeline.steps)}
