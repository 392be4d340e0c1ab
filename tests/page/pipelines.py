"""Pipelines that fail, wait, loop and draw, and the tools by which a test controls them."""

TOOLS = """\
import asyncio
from pathlib import Path

import orchestrator as orc


@orc.tool
async def echo(value: object = None) -> object:
    return value


@orc.tool
async def until(file: str) -> str:
    \"\"\"Wait until a file exists.\"\"\"
    while not Path(file).exists():
        await asyncio.sleep(0.02)
    return "there"


@orc.tool
async def need(file: str) -> str:
    \"\"\"Fail unless a file exists.\"\"\"
    if not Path(file).exists():
        raise orc.StepError("the mail server answered 503", retryable=False)
    return "there"
"""
FAILS = """\
name: Nightly report
inputs: {topic: {type: string, default: tides}}
steps:
  - {id: collect, tool: echo, parameters: {value: "About {{ topic }}"}}
  - id: each
    for_each: "{{ range(20) | list }}"
    on_item_failure: continue
    steps:
      - {id: measure, tool: echo, parameters: {value: "{{ item * 2 }}"}}
      - {id: verify, tool: need, condition: "{{ measure == 14 }}", parameters: {file: never}}
  - {id: send, tool: need, dependencies: [collect, each], parameters: {file: "{{ 'go' }}"}}
  - {id: archive, tool: echo, dependencies: [send], parameters: {value: "# Done\\n\\nAll **sent**."}}
outputs: {report: "{{ archive }}"}
"""
WAITS = """\
name: Waits
steps:
  - {id: first, tool: echo, parameters: {value: 1}}
  - {id: hold, tool: until, parameters: {file: "{{ 'open' }}"}, dependencies: [first]}
  - {id: last, tool: echo, parameters: {value: 2}, dependencies: [hold]}
"""
LOOP = """\
name: Ten thousand
steps:
  - id: each
    for_each: "{{ range(10000) | list }}"
    on_item_failure: continue
    steps:
      - {id: one, tool: echo, parameters: {value: "{{ item }}"}}
      - {id: two, tool: need, condition: "{{ one % 1000 == 999 }}", parameters: {file: never}}
"""
FIVE_HUNDRED = "name: Five hundred\nsteps:\n" + "".join(
    f"  - {{id: s{number}, tool: echo, dependencies: [{f's{number - 5}' if number >= 5 else ''}]}}\n"
    for number in range(500)
)
DRAWS = """\
steps:
  - id: chart
    tool: filesystem
    action: write
    parameters:
      path: output/chart.png
      encoding: base64
      content: iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC
outputs:
  report: "# Report\\n\\n![the chart](chart.png) and ![a spy](https://example.com/spy.png)"
"""
