"""The browser: what it does on real pages, which hosts it reaches, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.tools.browser import visit as visits
from orchestrator.tools.browser.proxy import FilteringProxy
from orchestrator.tools.extras import missing_requirement
from tests.tools.support import REGISTRY, Workplace
from tests.tools.web_site import PacketTrap, Site, serving, site

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["site"]

PATIENCE = 120.0

needs_chromium = pytest.mark.skipif(
    not any(map(shutil.which, visits.PROGRAMS)) and not os.environ.get("CI"),
    reason="there is no Chromium: install Debian's package `chromium`",
)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:  # after the directories of pytest
    """Where visits keep their profiles: each test ends without a process or a file of one."""
    place = Path(tempfile.mkdtemp(prefix="orc-test-", dir="/tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(place))
    yield place
    until_none_is_alive(place)
    assert list(place.iterdir()) == []
    place.rmdir()


@pytest.fixture
def workplace(tmp_path: Path, site: Site) -> Workplace:
    directory = tmp_path / "work"
    directory.mkdir()
    return Workplace(directory, hosts=[f"127.0.0.1:{site.server_port}"])


def alive(scratch: Path) -> list[str]:
    """The processes whose environment names a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(scratch).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes()[:100].decode(errors="replace"))
        except OSError:
            continue
    return found


def until_none_is_alive(scratch: Path) -> None:
    end = time.monotonic() + PATIENCE
    while found := alive(scratch):
        assert time.monotonic() < end, f"still there: {found}"
        time.sleep(0.05)


@needs_chromium
def test_a_form_is_filled_in_and_its_result_is_read(workplace: Workplace, site: Site) -> None:
    found = workplace(
        "browser.visit",
        url=site.url,
        actions=[
            {"fill": {"label": "Name"}, "value": "Ada & <Bob>"},
            {"check": {"label": "All"}},
            {"select": "select", "value": "b"},
            {"screenshot": "out/form.png"},
            {"click": {"role": "button", "name": "Go"}},
            {"wait_for": "#q"},
        ],
        extract={"query": "#q", "heading": {"text": {"role": "heading"}}, "none": {"text": "#no", "optional": True}},
    )
    query = "[('all', 'on'), ('kind', 'b'), ('q', 'Ada & <Bob>')]"
    assert found["extracted"] == {"query": query, "heading": "Results", "none": None}
    assert found["title"] == "Results"
    assert found["content"].startswith("# Results\n\n[('all'")
    assert found["url"] == f"{site.url}/results"
    assert found["status"] == 200
    assert found["files"] == [
        {"path": "out/form.png", "size": (workplace.directory / "out/form.png").stat().st_size, "name": "picture-0"}
    ]
    assert workplace.context.written == [workplace.directory / "out/form.png"]


@needs_chromium
def test_parts_of_a_page_that_scripts_have_made_are_taken(workplace: Workplace, site: Site) -> None:
    found = workplace(
        "browser.visit",
        url=f"{site.url}/live",
        actions=[{"wait_for": {"text": "made by a script"}}],
        extract={
            "markdown": {"markdown": "main"},
            "html": {"html": "p.late"},
            "links": {"links": "body"},
            "address": {"attribute": "href", "of": {"role": "link", "name": "The table"}},
            "paragraphs": {"texts": "p"},
            "number": {"count": "p"},
        },
    )
    link = {"text": "The table", "url": f"{site.url}/table?x=1"}
    assert found["extracted"] == {
        "markdown": f"# Live\n\nmade by a script\n\n[The table]({site.url}/table?x=1)\nno",
        "html": '<p class="late">made by a script</p>',
        "links": [link],
        "address": "/table?x=1",
        "paragraphs": ["made by a script"],
        "number": 1,
    }
    found = workplace(
        "browser.visit",
        url=f"{site.url}/table",
        extract={"table": {"table": "#t"}, "plain": {"table": "#plain"}, "long": "body"},
        max_characters=60,
    )
    assert found["extracted"]["table"] == [
        {"Name": "Apple", "Price": "1", "Price 3": ""},
        {"Name": "Apple", "Price": "2", "Price 3": "2"},
    ]
    assert found["extracted"]["plain"] == [{"column 1": "a", "column 2": "b"}]
    assert found["truncated"] is True
    assert len(found["extracted"]["long"]) + len(found["content"]) < 60


EVERYTHING = """<title>Greedy</title>
<link rel=stylesheet href="{other}/style.css"><link rel=preload as=fetch href="{other}/preload">
<link rel=dns-prefetch href="//secret.invalid"><link rel=preconnect href="{other}">
<img src="{other}/image"><img src="{local}/image"><iframe src="{other}/frame"></iframe>
<script src="{other}/script"></script><object data="{other}/object"></object><video src="{other}/video"></video>
<p id=out>nothing</p><p id=socket>nothing</p><p id=worker>nothing</p>
<script>
const said = (id, text) => document.getElementById(id).textContent = text
const tries = []
tries.push(fetch('{other}/fetch', {{mode: 'no-cors'}}).then(() => 'fetched', () => 'refused'))
tries.push(fetch('/redirect', {{mode: 'no-cors'}}).then(() => 'fetched', () => 'refused'))
tries.push(new Promise(done => {{
    const socket = new WebSocket('{other}/ws'.replace('http', 'ws'))
    socket.onopen = () => done('connected'); socket.onerror = () => done('refused')
}}))
navigator.sendBeacon('{other}/beacon', 'x')
tries.push(new Promise(done => {{
    const ask = "fetch('{other}/worker', {{mode: 'no-cors'}})"
    const code = ask + ".then(() => postMessage('fetched'), () => postMessage('refused'))"
    new Worker(URL.createObjectURL(new Blob([code]))).onmessage = event => done(event.data)
}}))
tries.push(new Promise(done => {{
    const source = new EventSource('{other}/events')
    source.onopen = () => done('connected'); source.onerror = () => done('refused')
}}))
Promise.all(tries).then(all => said('out', all.join(' ')))
const own = new WebSocket(location.origin.replace('http', 'ws') + '/ws')
own.onmessage = event => said('socket', event.data)
navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready).then(ready => {{
    navigator.serviceWorker.onmessage = event => said('worker', event.data)
    ready.active.postMessage('go')
}})
try {{ new WebTransport('https://127.0.0.1:{udp}/').ready.catch(() => 0) }} catch (error) {{}}
const call = new RTCPeerConnection({{iceServers: [{{urls: 'stun:127.0.0.1:{udp}'}}]}})
call.createDataChannel('x')
call.createOffer().then(offer => call.setLocalDescription(offer))
</script>"""
SERVICE = """onmessage = event => fetch('{other}/service', {{mode: 'no-cors'}}).then(
    () => event.source.postMessage('fetched'), () => event.source.postMessage('refused'))"""


@needs_chromium
def test_no_request_of_a_page_reaches_a_host_that_is_not_allowed(workplace: Workplace, site: Site) -> None:
    trap = PacketTrap()
    with serving() as other:
        named = {"other": other.url, "local": other.url.replace("127.0.0.1", "localhost"), "udp": trap.port}
        site.pages["/all"] = EVERYTHING.format(**named)
        site.pages["/sw.js"] = (200, {"Content-Type": "text/javascript"}, SERVICE.format(**named).encode())
        site.pages["/redirect"] = (302, {"Location": f"{other.url}/redirected"}, b"")
        found = workplace(
            "browser.visit",
            url=f"{site.url}/all",
            actions=[
                {"wait_for": "#out:has-text('refused')"},
                {"wait_for": "#socket:has-text('hello')"},
                {"wait_for": "#worker:has-text('refused')"},
            ],
            extract={"out": "#out", "socket": "#socket", "worker": "#worker"},
            wait=60,
        )
        assert other.asked == []
    assert found["extracted"] == {"out": " ".join(["refused"] * 5), "socket": "hello", "worker": "refused"}
    assert found["refused"] == [f"127.0.0.1:{other.server_port}", f"localhost:{other.server_port}"]
    assert "was not permitted to reach" in workplace.context.lines[0][1]
    assert not trap.heard()


@needs_chromium
@pytest.mark.parametrize("how", ["redirect", "script", "click", "open", "https"])
def test_a_page_at_an_address_that_is_not_allowed_is_refused(how: str, workplace: Workplace, site: Site) -> None:
    with serving() as other:
        there = other.url.replace("http", "https") if how == "https" else other.url
        site.pages["/redirect"] = (302, {"Location": there}, b"")
        site.pages["/script"] = f"<script>location = '{there}'</script>"
        site.pages["/click"] = f"<a href='{there}'>Go</a>"
        paths = {"redirect": "/redirect", "https": "/redirect", "script": "/script", "click": "/click", "open": "/"}
        actions: dict[str, list[Any]] = {
            "script": [{"wait_for": "#never"}],
            "click": [{"click": "a"}, {"wait_for": "#never"}],
            "open": [{"open": f"{site.url}/redirect"}],
        }
        with pytest.raises(StepError) as raised:
            workplace("browser.visit", url=site.url + paths[how], actions=actions.get(how), wait=5)
        assert other.asked == []
    assert f"127.0.0.1:{other.server_port}" in f"{raised.value.message} {raised.value.help}" or isinstance(
        raised.value, PermissionDenied
    )


def test_addresses_and_paths_are_refused_before_a_browser_starts(workplace: Workplace, site: Site) -> None:
    calls: list[dict[str, Any]] = [
        {"url": "http://169.254.169.254/latest/meta-data/"},
        {"url": "http://localhost:1/"},
        {"url": site.url, "actions": [{"open": "http://10.0.0.1/"}]},
        {"url": site.url, "actions": [{"screenshot": "/etc/picture.png"}]},
        {"url": site.url, "actions": [{"download": "a", "path": "orchestrator.toml"}]},
    ]
    for parameters in calls:
        with pytest.raises(PermissionDenied):
            workplace("browser.visit", **parameters)
    with pytest.raises(StepError, match="is not an HTTP URL"):
        workplace("browser.visit", url="file:///etc/passwd")
    assert site.asked == []


@needs_chromium
def test_downloads_are_saved(workplace: Workplace, site: Site) -> None:
    content = bytes(range(256)) * 2000
    site.pages["/data.bin"] = (200, {"Content-Disposition": 'attachment; filename="../d.bin"'}, content)
    site.pages["/files"] = """<a href="/data.bin">Data</a><button>Made</button><script>
        document.querySelector('button').onclick = () => {
            const link = document.createElement('a')
            link.href = URL.createObjectURL(new Blob(['made'])); link.download = 'made.txt'; link.click() }
        </script>"""
    found = workplace(
        "browser.visit",
        url=f"{site.url}/files",
        actions=[
            {"download": {"role": "link", "name": "Data"}, "path": "out/data.bin"},
            {"download": {"role": "button"}, "path": "out/made.txt"},
        ],
    )
    assert (workplace.directory / "out/data.bin").read_bytes() == content
    assert (workplace.directory / "out/made.txt").read_text() == "made"
    assert [(each["path"], each["size"]) for each in found["files"]] == [("out/data.bin", 512_000), ("out/made.txt", 4)]
    assert "/" not in found["files"][0]["name"]
    with pytest.raises(StepError, match="is not a page, but a file"):
        workplace("browser.visit", url=f"{site.url}/data.bin")
    assert [path.name for path in workplace.directory.iterdir()] == ["out"]


@needs_chromium
def test_pictures_show_the_window_the_page_or_an_element(workplace: Workplace, site: Site) -> None:
    site.pages["/tall"] = "<title>Tall</title><div id=box style='width:300px;height:3000px;background:red'></div>"

    def size(name: str) -> Any:
        return struct.unpack(">II", (workplace.directory / name).read_bytes()[16:24])

    url = f"{site.url}/tall"
    found = workplace("browser.screenshot", url=url, path="window.png", width=400, height=300)
    assert found == {"path": "window.png", "size": found["size"], "title": "Tall", "url": url}
    assert size("window.png") == (400, 300)
    workplace("browser.screenshot", url=url, path="page.png", width=400, full_page=True)
    assert size("page.png")[1] > 3000
    workplace("browser.screenshot", url=url, path="box.jpg", of="#box")
    assert (workplace.directory / "box.jpg").read_bytes()[:3] == b"\xff\xd8\xff"


@needs_chromium
def test_what_goes_wrong_on_a_page_is_named(workplace: Workplace, site: Site) -> None:
    site.pages["/broken"] = (503, {}, b"later")
    free = PacketTrap()  # a port without a server
    free.socket.close()
    refused = Workplace(workplace.directory, hosts=["127.0.0.1"])
    cases: list[tuple[Workplace, dict[str, Any], str]] = [
        (workplace, {"url": f"{site.url}/missing"}, "returned 404"),
        (workplace, {"url": f"{site.url}/broken"}, "returned 503"),
        (workplace, {"url": site.url, "actions": [{"open": f"{site.url}/missing"}]}, r"`actions\[0\].open`: .*404"),
        (
            workplace,
            {"url": site.url, "actions": [{"click": "#no"}]},
            r"`actions\[0\].click`: an element was not found",
        ),
        (workplace, {"url": site.url, "extract": {"a": "#no"}}, r"`extract.a`: an element was not found"),
        (workplace, {"url": site.url, "extract": {"a": "!!"}}, r"`extract.a`: "),
        (workplace, {"url": site.url, "extract": {"a": {"table": "h1"}}}, r"`extract.a`: the element is not a table"),
        (refused, {"url": f"http://127.0.0.1:{free.port}/"}, "cannot be opened: .*refused"),
    ]
    for where, parameters, words in cases:
        with pytest.raises(StepError, match=words) as raised:
            where("browser.visit", wait=1.5, **parameters)
        assert raised.value.code == "ORC706"
    assert workplace("browser.visit", url=f"{site.url}/missing", check=False)["content"] == "missing"


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"actions": ["click"]}, r"`\[0\]` must be an object"),
    ({"actions": [{"clik": "a"}]}, "unknown action `clik`"),
    ({"actions": [{"click": "a", "hover": "b"}]}, "are several actions"),
    ({"actions": [{"click": "a", "value": "b"}]}, "`click` does not take `value`"),
    ({"actions": [{"fill": "a"}]}, "`fill` needs `value`"),
    ({"actions": [{"fill": "a", "value": 1}]}, r"`actions\[0\].value`: .*is not text"),
    ({"actions": [{"click": ""}]}, "does not describe an element"),
    ({"actions": [{"click": {"rol": "a"}}]}, "unknown key `rol`"),
    ({"actions": [{"click": {"css": "a", "name": "b"}}]}, "`name` belongs to `role`"),
    ({"actions": [{"click": {"css": "a", "nth": "1"}}]}, "must be a whole number"),
    ({"actions": [{"wait_for": "a", "state": "there"}]}, "unknown state `there`"),
    ({"actions": [{"open": "file:///etc/passwd"}]}, "is not an HTTP URL"),
    ({"actions": [{"open": "javascript:alert(1)"}]}, "is not an HTTP URL"),
    ({"actions": [{"screenshot": "a.gif"}]}, "does not name a picture"),
    ({"actions": [{"press": "Enter"}] * 101}, "more than 100"),
    ({"extract": {"a": 1}}, "is not an extraction"),
    ({"extract": {"a": {"txt": "h1"}}}, "unknown key `txt`"),
    ({"extract": {"a": {"text": "a", "html": "b"}}}, "exactly one kind"),
    ({"extract": {"a": {"attribute": "href"}}}, "and `of`"),
    ({"extract": {"a": {"text": "h1", "of": "b"}}}, "`of` belongs to `attribute`"),
]


@pytest.mark.parametrize(("parameters", "words"), INVALID)
def test_an_invalid_action_is_named_before_a_browser_starts(
    parameters: dict[str, Any], words: str, workplace: Workplace, site: Site
) -> None:
    with pytest.raises(StepError, match=words) as raised:
        workplace("browser.visit", url=site.url, **parameters)
    assert raised.value.code == "ORC708"
    assert site.asked == []


@needs_chromium
def test_windows_and_questions_of_a_page_do_not_stop_a_visit(workplace: Workplace, site: Site) -> None:
    site.pages["/new"] = "<title>New</title><h1>New</h1>"
    site.pages["/opens"] = "<a href='/new' target=_blank>Open</a><script>alert('hello'); confirm('sure?')</script>"
    found = workplace("browser.visit", url=f"{site.url}/opens", actions=[{"click": "a"}, {"wait_for": "h1"}])
    assert found["title"] == "New"
    site.pages["/again"] = "<script>setTimeout(() => location.reload(), 10)</script><p>again</p>"
    with pytest.raises(StepError, match="more than 5 pages were opened"):
        workplace("browser.visit", url=f"{site.url}/again", actions=[{"wait_for": "p"}] * 100, max_pages=5)


@needs_chromium
def test_a_page_that_loads_too_much_is_ended(workplace: Workplace, site: Site) -> None:
    site.pages["/large"] = (200, {"Content-Type": "application/octet-stream"}, bytes(3_000_000))
    site.pages["/loads"] = "<script>for (let n = 0; n < 50; n++) fetch('/large?' + n)</script>"
    with pytest.raises(StepError, match="loaded more than 5 MB"):
        workplace("browser.visit", url=f"{site.url}/loads", actions=[{"wait_for": "#never"}], max_bytes=5_000_000)


@needs_chromium
def test_a_page_that_does_not_end_is_ended(workplace: Workplace, site: Site) -> None:
    site.pages["/endless"] = "<script>while (true) {}</script>"
    with pytest.raises(StepError):
        workplace("browser.visit", url=f"{site.url}/endless", wait=3, timeout=20)


@needs_chromium
@pytest.mark.parametrize("end", ["cancel", "timeout"])
def test_no_process_is_left_when_a_visit_is_ended(end: str, workplace: Workplace, site: Site, scratch: Path) -> None:
    async def run() -> None:
        seconds = 15 if end == "timeout" else 600
        call = asyncio.ensure_future(
            workplace.acall("browser.visit", url=f"{site.url}/hang", wait=500, timeout=seconds)
        )
        if end == "timeout":
            with pytest.raises(StepTimeout):
                await call
            return
        for _ in range(int(PATIENCE / 0.05)):
            if "/hang" in site.asked:
                break
            await asyncio.sleep(0.05)
        assert "/hang" in site.asked
        assert any("chrom" in each for each in alive(scratch))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(run())
    assert alive(scratch) == []


OWNER = """
import sys
from pathlib import Path
from tests.tools.support import Workplace
Workplace(Path(sys.argv[1]), hosts=["127.0.0.1"])("browser.visit", url=sys.argv[2], wait=500, timeout=600)
"""


@needs_chromium
def test_no_process_is_left_when_the_owner_is_killed(workplace: Workplace, site: Site, scratch: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(workplace.directory), f"{site.url}/hang"],
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        end = time.monotonic() + PATIENCE
        while "/hang" not in site.asked:
            assert time.monotonic() < end, "the page was not opened"
            assert owner.poll() is None
            time.sleep(0.05)
        assert any("chrom" in each for each in alive(scratch))
        owner.send_signal(signal.SIGKILL)
    finally:
        owner.kill()
        owner.wait()
    until_none_is_alive(scratch)
    for left in scratch.iterdir():  # it could not clean up
        shutil.rmtree(left)


def test_without_chromium_the_error_says_how_to_install_it(
    workplace: Workplace, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(StepError, match="Chromium is not installed") as raised:
        workplace("browser.visit", url=site.url)
    assert "apt-get install chromium" in str(raised.value.help)
    assert not raised.value.retryable


def test_without_playwright_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.tools.extras.find_spec", lambda _: None)
    tool = REGISTRY.get("browser")
    assert tool is not None
    found = missing_requirement(tool.actions["visit"])
    assert found is not None
    assert found.extra == "browser"


async def talk(port: int, text: str) -> bytes:
    """Send something to the proxy, and return all that comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.replace("\n", "\r\n").encode())
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()


def test_the_proxy_serves_only_who_knows_the_password(workplace: Workplace, site: Site) -> None:
    async def run() -> None:
        async with FilteringProxy(workplace.permissions, 10**6, lambda: None) as proxy:
            port = int(proxy.access["server"].rpartition(":")[2])
            user = f"{proxy.access['username']}:{proxy.access['password']}"
            known = f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}\n"
            host = f"127.0.0.1:{site.server_port}"
            for wrong in ("", f"Proxy-Authorization: Basic {base64.b64encode(b'orchestrator:x').decode()}\n"):
                for line in (f"GET {site.url}/ HTTP/1.1", f"CONNECT {host} HTTP/1.1"):
                    assert b" 407 " in await talk(port, f"{line}\nHost: {host}\n{wrong}\n")
            assert site.asked == []
            plain = f"GET {site.url}/live HTTP/1.1\nHost: {host}\n{known}"
            answer = await talk(port, f"{plain}\n{plain}Connection: close\n\n")
            assert answer.count(b"HTTP/1.1 200") == 2
            assert site.asked == ["/live", "/live"]
            for refused in ("http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/", "ftp://example.org/", "/"):
                assert await talk(port, f"GET {refused} HTTP/1.1\nHost: x\n{known}\n") == b""
            for refused in ("127.0.0.1:1", "[::1]:1", "0x7f.1:1", "169.254.169.254:80", "x", "x:y"):
                assert await talk(port, f"CONNECT {refused} HTTP/1.1\nHost: x\n{known}\n") == b""
            for broken in ("hello\n\n", "GET http://x HTTP/9\n\n", "GET / HTTP/1.1\n" + "a: b\n" * 20_000 + "\n"):
                await talk(port, broken)
            assert len(proxy.refused) >= 4

    asyncio.run(run())


def test_a_pipeline_is_checked_before_it_runs(tmp_path: Path) -> None:
    import orchestrator as orc

    text = """
    steps:
      - id: a
        action: browser.visit
        parameters:
          url: https://example.org
          actions: [{clik: a}]
      - id: b
        action: browser.screenshot
        parameters: {url: "http://localhost:9", path: a.gif}
    """
    found = orc.check(text)
    words = json.dumps([each.message for each in found.diagnostics])
    assert "unknown action `clik`" in words
    assert "does not name a picture" in words
    assert "is not a public address" in words


SHOP = """<title>Shop</title><nav><a href="/lamps">Lamps</a></nav><h1>Search</h1>
<form action="/found"><label>Product <input name="q"></label><button>Search</button></form>"""
FOUND = """<title>Found</title><nav><a href="/lamps">Lamps</a></nav><h1>2 lamps</h1>
<table id=prices><tr><th>Name</th><th>Price</th></tr>
<tr><td>Tall</td><td>30</td></tr><tr><td>Small</td><td>12.5</td></tr></table>"""


@needs_chromium
def test_the_pipeline_of_the_guide_runs(tmp_path: Path, site: Site) -> None:
    import orchestrator as orc

    page = (Path(__file__).parents[2] / "docs" / "guide" / "browser.md").read_text(encoding="utf-8")
    text = page.split('```yaml title="prices.yaml"\n')[1].split("```")[0]
    site.pages |= {"/search": SHOP, "/found": FOUND}
    permissions = orc.Permissions(tmp_path).extended(hosts=[f"127.0.0.1:{site.server_port}"])
    with orc.Orchestrator(directory=tmp_path, permissions=permissions) as client:
        result = client.compile(text).run(shop=site.url)
    assert result.outputs == {
        "heading": "2 lamps",
        "cheapest": 12.5,
        "links": [{"text": "Lamps", "url": f"{site.url}/lamps"}],
    }
    assert (tmp_path / "output" / "prices.png").read_bytes()[:4] == b"\x89PNG"
