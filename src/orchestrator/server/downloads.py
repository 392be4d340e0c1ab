"""Downloads: a file or a large value as an attachment, whole or a range of it."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response

from orchestrator.server.streams import SEND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

_UNKNOWN: Final = "application/octet-stream"
_PASSIVE: Final = frozenset({"text/plain", "text/csv", "text/markdown", "application/json", "application/pdf"})

_CHUNK: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


class Download(Response):
    """Sends `size` bytes that `read(start, count)` returns, as an attachment that no browser shows as a page.

    A request for one range receives that; one for several receives everything, as the standard permits. A reader that
    accepts nothing for a while is disconnected.
    """

    def __init__(
        self,
        size: int,
        read: Callable[[int, int], bytes],
        *,
        name: str,
        tag: str,
        media_type: str | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """`name` is what a browser calls the file, `tag` differs when the content does. `close` is called last."""
        super().__init__(media_type=media_type or _passive_type(name))
        self._size = size
        self._read = read
        self._close = close
        self.headers.update(
            {
                "accept-ranges": "bytes",
                "cache-control": "private, no-cache",
                "content-disposition": f"attachment; {_file_name(name)}",
                "content-security-policy": "default-src 'none'; sandbox",
                "etag": f'"{tag}"',
                "x-content-type-options": "nosniff",
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            asked = self._asked(Headers(scope=scope))
            start, stop = asked or (0, self._size)
            if asked is not None:
                self.status_code = 206
                self.headers["content-range"] = f"bytes {start}-{stop - 1}/{self._size}"
            if start >= stop and asked is not None:
                self.status_code, stop = 416, start
                self.headers["content-range"] = f"bytes */{self._size}"
            self.headers["content-length"] = str(stop - start)
            with suppress(TimeoutError):
                await self._send(start, stop, send)
        finally:
            await run_in_threadpool(self._close)

    async def _send(self, start: int, stop: int, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        await send_in_time({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while start < stop:
            piece = await run_in_threadpool(self._read, start, min(_CHUNK, stop - start))
            if not piece:
                raise ConnectionAbortedError("a file became shorter while it was sent")
            start += len(piece)
            await send_in_time({"type": "http.response.body", "body": piece, "more_body": True})
        await send_in_time({"type": "http.response.body", "body": b"", "more_body": False})

    def _asked(self, headers: Headers) -> tuple[int, int] | None:
        """Return the range that a request asks for, empty if there is nothing in it; None: everything."""
        found = _RANGE.fullmatch(headers.get("range", "").strip())
        if (
            found is None
            or found[0] == "bytes=-"
            or headers.get("if-range", self.headers["etag"]) != self.headers["etag"]
        ):
            return None
        first, last = found[1], found[2]
        if not first:  # the last so many bytes
            return (max(0, self._size - int(last)), self._size) if int(last) else (0, 0)
        start, stop = int(first), min(self._size, int(last) + 1 if last else self._size)
        if last and int(last) < start:
            return None
        return (start, stop) if start < self._size else (0, 0)


def file_download(descriptor: int, path: str) -> Download:
    """Return the download of an open file, which is closed at its end."""
    status = os.fstat(descriptor)
    return Download(
        status.st_size,
        lambda start, count: os.pread(descriptor, count, start),
        name=PurePosixPath(path).name,
        tag=f"{status.st_mtime_ns:x}-{status.st_size:x}",
        close=partial(os.close, descriptor),
    )


def _passive_type(name: str) -> str:
    """Return the type of a file, without those that a browser would execute: pages, drawings and scripts."""
    found = mimetypes.guess_type(name)[0] or _UNKNOWN
    kind, _, what = found.partition("/")
    passive = (kind in ("image", "audio", "video") and not what.endswith("xml")) or found in _PASSIVE
    return found if passive else _UNKNOWN


def _file_name(name: str) -> str:
    if _NAME.fullmatch(name):
        return f'filename="{name}"'
    return f"filename*=UTF-8''{quote(name, safe='')}"
