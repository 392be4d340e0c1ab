"""The rules that a web site has for programs: its `robots.txt` (RFC 9309)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from orchestrator import codes
from orchestrator.errors import StepError

if TYPE_CHECKING:
    from orchestrator.tools.contract import ToolContext

AGENT: Final = "orchestrator"
"""What these rules call this program."""

_MAX_BYTES: Final = 500_000
_TIMEOUT: Final = 15.0


async def check_robots(context: ToolContext, url: str) -> None:
    """Refuse an address that the rules of its site exclude. A site without rules excludes none.

    Raises:
        StepError: The rules exclude it, or cannot be read now.
    """
    from protego import Protego

    from orchestrator.tools.builtin.http import exchange
    from orchestrator.tools.sandbox.network import read_limited, safe_url

    parts = urlsplit(url)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/robots.txt"
    async with exchange(context, "GET", address, _TIMEOUT, headers={"User-Agent": AGENT}) as response:
        status = response.status_code
        rules = b"" if status >= 400 else b"".join([piece async for piece in read_limited(response, _MAX_BYTES)])
    if status >= 500 or status == 429:
        message = f"{safe_url(address)} returned {status}, so it is not known whether programs may read the page"
        raise StepError(message, code=codes.HTTP_FAILED, help="try again later, or write `robots: false`")
    if not Protego.parse(rules.decode(errors="replace")).can_fetch(url, AGENT):
        raise StepError(
            f"{safe_url(url)} must not be read by programs, according to {safe_url(address)}",
            code=codes.HTTP_FAILED,
            help="use another page, or write `robots: false` if its owner has permitted you to read it",
            retryable=False,
        )
