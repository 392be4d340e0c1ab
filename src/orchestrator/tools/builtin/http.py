"""Send HTTP requests to public servers, and to allowed private ones."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict
from urllib.parse import urlsplit

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.tools.builtin.access import Mode, file_errors, file_mode, permitted_location
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.sandbox.trees import replacing

if TYPE_CHECKING:
    import httpx2


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid_url(url, "a valid URL") from error
    if parts.scheme.lower() not in ("http", "https"):
        raise _invalid_url(url, "an HTTP URL", "start it with `https://`")
    if not host or any(sign in host for sign in " %\\"):
        raise _invalid_url(url, "a valid URL")


def _invalid_url(url: str, wanted: str, help: str | None = None) -> StepError:
    from orchestrator.tools.sandbox.network import safe_url

    return StepError(f"{safe_url(url)} is not {wanted}", code=codes.INVALID_PARAMETER, help=help, retryable=False)


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_NOT_IN_HEADERS = re.compile(r"[^\t\x20-\x7e]|^[ \t]|[ \t]\Z")


def _check_headers(headers: dict[str, str] | None) -> None:
    """Refuse invalid headers. Their values may be secrets, so they are not shown."""
    for name, value in (headers or {}).items():
        if _HEADER_NAME.match(name) is None:
            help = "use letters, digits and hyphens in header names"
            raise StepError(
                f"`{name}` is not a valid header name", code=codes.INVALID_PARAMETER, help=help, retryable=False
            )
        wrong = _NOT_IN_HEADERS.search(value)
        if wrong is not None:
            sign = "a line break" if wrong[0] in "\r\n" else f"the character U+{ord(wrong[0]):04X}"
            help = (
                "remove it with `| trim`"
                if not wrong[0].strip()
                else "headers are ASCII; encode other characters with `| urlencode`"
            )
            raise StepError(
                f"invalid header `{name}`: its value contains {sign}",
                code=codes.INVALID_PARAMETER,
                help=help,
                retryable=False,
            )


Url = Annotated[str, "The URL, starting with `http://` or `https://`.", Checked(_check_url)]
Headers = Annotated[
    dict[str, str] | None,
    "Headers to send; they are not sent after a redirect to another server.",
    Checked(_check_headers),
]
Query = Annotated[dict[str, Any] | None, "Query parameters to add to the URL."]
Timeout = Annotated[float, "The timeout of the whole request, in seconds."]
MaxBytes = Annotated[int, "The maximum size of the response, in bytes."]
Check = Annotated[bool, "Fail on an error status (400 and above)."]
Follow = Annotated[bool, "Follow redirects."]

_MAX_BYTES = 10_000_000
_EXCERPT = 300
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpResult(TypedDict):
    """The response. `body` is its text, `json` its data if it is JSON (else null), `content` the data or the text.

    `url` is the final URL after redirects, without its query; the names of `headers` are in lower case.
    """

    status_code: Annotated[int, "The status of the response, such as 200."]
    headers: Annotated[dict[str, str], "The response headers, with names in lower case."]
    body: Annotated[str, "The response as text."]
    json: Annotated[Any, "The response as data if it is JSON, else null."]
    content: Annotated[Any, "The data if the response is JSON, else its text."]
    url: Annotated[str, "The final URL after redirects, without its query."]


class DownloadResult(TypedDict):
    """The written file, its size in bytes, and the status and headers of the response."""

    path: Annotated[str, "The path of the written file, as given."]
    size: Annotated[int, "The size of the file in bytes."]
    status_code: Annotated[int, "The status of the response, such as 200."]
    headers: Annotated[dict[str, str], "The response headers, with names in lower case."]


def request_refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    """Check the host of `url`, and `path` if a file is written."""
    path = known.get("path")
    if isinstance(path, str):
        refusal = permissions.check_write(path, parameter="path")
        if refusal is not None:
            return refusal
    url = known.get("url")
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None  # not a URL: the call itself reports it
    return permissions.check_host(host, port, parameter="url") if host else None


@tool(primary="content", refusal=request_refusal)
async def request(
    url: Url,
    context: ToolContext,
    method: Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"], "The method."] = "GET",
    headers: Headers = None,
    params: Query = None,
    json: Annotated[Any, "Data to send as JSON."] = None,
    data: Annotated[dict[str, Any] | str | None, "Form fields or a string to send."] = None,
    timeout: Timeout = 30,  # noqa: ASYNC109 - the name that pipelines use
    max_bytes: MaxBytes = _MAX_BYTES,
    check: Check = True,
    follow_redirects: Follow = True,
) -> HttpResult:
    """Send a request with any method.

    An error status fails the step. After 408, 425, 429 and most 5xx it can be retried, not before the `Retry-After` of
    the server.

    Example:
        - id: rename
          tool: http
          action: request
          parameters:
            method: PATCH
            url: https://api.example.org/items/7
            json: {name: "{{ title }}"}
    """
    sending = exchange(
        context, method, url, timeout, headers=headers, params=params, json=json, data=data, follow=follow_redirects
    )
    async with sending as response:
        from orchestrator.tools.sandbox.network import read_limited

        body = b"".join([piece async for piece in read_limited(response, max_bytes)])
        if check:
            check_status(response, body)
        return _result(context, response, body)


@tool(primary="content", refusal=request_refusal)
async def get(
    url: Url,
    context: ToolContext,
    headers: Headers = None,
    params: Query = None,
    timeout: Timeout = 30,  # noqa: ASYNC109 - the name that pipelines use
    max_bytes: MaxBytes = _MAX_BYTES,
    check: Check = True,
    follow_redirects: Follow = True,
) -> HttpResult:
    """Fetch a URL.

    Example:
        - id: fetch
          tool: http
          action: get
          parameters:
            url: https://api.example.org/items
            params: {page: 2}
    """
    return await request(
        url,
        context,
        headers=headers,
        params=params,
        timeout=timeout,
        max_bytes=max_bytes,
        check=check,
        follow_redirects=follow_redirects,
    )


@tool(primary="content", refusal=request_refusal)
async def post(
    url: Url,
    context: ToolContext,
    json: Annotated[Any, "Data to send as JSON."] = None,
    data: Annotated[dict[str, Any] | str | None, "Form fields or a string to send."] = None,
    headers: Headers = None,
    params: Query = None,
    timeout: Timeout = 30,  # noqa: ASYNC109 - the name that pipelines use
    max_bytes: MaxBytes = _MAX_BYTES,
    check: Check = True,
    follow_redirects: Follow = True,
) -> HttpResult:
    """Send data to a URL.

    Example:
        - id: publish
          tool: http
          action: post
          parameters:
            url: https://api.example.org/items
            json: {title: "{{ title }}"}
    """
    return await request(
        url,
        context,
        method="POST",
        headers=headers,
        params=params,
        json=json,
        data=data,
        timeout=timeout,
        max_bytes=max_bytes,
        check=check,
        follow_redirects=follow_redirects,
    )


@tool(primary="path", refusal=request_refusal)
async def download(
    url: Url,
    path: Annotated[str, "The path of the file to write."],
    context: ToolContext,
    headers: Headers = None,
    params: Query = None,
    timeout: Timeout = 600,  # noqa: ASYNC109 - the name that pipelines use
    max_bytes: MaxBytes = 1_000_000_000,
    mode: Mode = None,
) -> DownloadResult:
    """Download a URL to a file, which appears only when it is complete.

    Example:
        - id: archive
          tool: http
          action: download
          parameters:
            url: https://example.org/data.zip
            path: downloads/data.zip
    """
    place, chosen = permitted_location(context, path, "write"), file_mode(mode)
    async with exchange(context, "GET", url, timeout, headers=headers, params=params) as response:
        from orchestrator.tools.sandbox.network import read_limited

        if response.status_code >= 400:
            check_status(response, b"".join([piece async for piece in read_limited(response, _MAX_BYTES)]))
        length = response.headers.get("content-length", "")
        total = int(length) if length.isdigit() else None
        size = 0
        with file_errors("write", path), replacing(place, mode=chosen) as file:
            async for piece in read_limited(response, max_bytes):
                file.write(piece)
                size += len(piece)
                context.progress(min(size / total, 1.0) if total else None, f"{size:,} bytes")
        context.wrote(place.path)
        return {
            "path": path,
            "size": size,
            "status_code": response.status_code,
            "headers": _headers(response),
        }


@asynccontextmanager
async def exchange(
    context: ToolContext,
    method: str,
    url: str,
    timeout: float,  # noqa: ASYNC109 - the name that pipelines use
    *,
    headers: dict[str, str] | None = None,
    params: dict[str, Any] | None = None,
    json: Any = None,
    data: dict[str, Any] | str | None = None,
    follow: bool = True,
) -> "AsyncIterator[httpx2.Response]":
    """Send a request, yield its response, and turn errors into step errors."""
    import asyncio

    import httpx2

    from orchestrator.tools.sandbox.network import connection_problem, guarded_client, safe_url, send_request

    _check_url(url)
    _check_headers(headers)
    try:
        async with asyncio.timeout(timeout), guarded_client(context.permissions, timeout) as client:
            body = {"content": data} if isinstance(data, str) else {"data": data}
            sent = client.build_request(method, url, headers=headers, params=params, json=json, **body)
            response = await send_request(client, sent, follow=follow)
            try:
                yield response
            finally:
                await response.aclose()
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise StepTimeout(f"{safe_url(url)} did not respond within {timeout:g} s", seconds=timeout) from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
        raise StepError(f"{safe_url(url)} is not a valid URL", code=codes.INVALID_PARAMETER, retryable=False) from error
    except httpx2.HTTPError as error:
        help = "check the URL, and that the server is running and reachable from here"
        raise StepError(
            f"{safe_url(url)} cannot be reached: {connection_problem(error)}", code=codes.HTTP_FAILED, help=help
        ) from error


def _result(context: ToolContext, response: "httpx2.Response", body: bytes) -> HttpResult:
    from orchestrator.tools.sandbox.network import public_url

    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind.endswith(("/json", "+json"))
    text = _text(context, response, body, by_mark=is_json)
    data, is_data = _json(context, text) if is_json else (None, False)
    return {
        "status_code": response.status_code,
        "headers": _headers(response),
        "body": text,
        "json": data,
        "content": data if is_data else text,
        "url": public_url(response.url),
    }


def _text(context: ToolContext, response: "httpx2.Response", body: bytes, *, by_mark: bool) -> str:
    """Decode a body. Invalid bytes are replaced, with a warning in the log of the run.

    JSON is decoded as UTF-8 or by its byte order mark, regardless of the declared charset.
    """
    from orchestrator.text.content import ENCODING_SAMPLE, NotText, decode_text, encoding_of
    from orchestrator.tools.sandbox.network import safe_url

    marked = encoding_of(body[:ENCODING_SAMPLE])
    stated = None if by_mark and marked != "utf-8-sig" else response.charset_encoding
    what = f"the response of {safe_url(str(response.url))}"
    try:
        return decode_text(body, stated)
    except NotText as error:
        reason = str(error)
    try:
        text = body.decode(encoding_of(b"", stated) if stated else marked, "replace").removeprefix("\ufeff")
        context.log(f"{what} is damaged: {reason}; invalid bytes were replaced", "warning")
    except (NotText, UnicodeError):
        text = body.decode("utf-8-sig", "replace")
        context.log(f"{what} declares the unknown charset `{stated}`, so it was decoded as UTF-8", "warning")
    return text


def _json(context: ToolContext, text: str) -> tuple[Any, bool]:
    from orchestrator.text.json_text import read_json

    try:
        return read_json(text), True
    except ValueError as error:
        if text.strip():
            context.log(f"the content type is JSON, but the body is not valid JSON: {error}", "warning")
        return None, False


def _headers(response: "httpx2.Response") -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items() if name.lower() != "set-cookie"}


def check_status(response: "httpx2.Response", body: bytes) -> None:
    """Raise a StepError for an error status."""
    status = response.status_code
    if status < 400:
        return
    from orchestrator.tools.sandbox.network import safe_url

    text = " ".join(body.decode(errors="replace").split())
    excerpt = f": {text if len(text) <= _EXCERPT else text[:_EXCERPT] + '…'}" if text else ""
    raise StepError(
        f"{safe_url(str(response.url))} returned {status} {response.reason_phrase}{excerpt}",
        code=codes.HTTP_FAILED,
        help=_STATUS_HELP.get(status, "set `check: false` to accept any status"),
        retryable=status in _TRY_AGAIN,
        retry_after=retry_after(response.headers.get("retry-after", "")) if status in _TRY_AGAIN else None,
    )


_STATUS_HELP = {
    401: "check the credentials in `headers`",
    403: "check the credentials in `headers` and their permissions",
    404: "check the URL",
    429: "send fewer requests, or add a `retry` to the step",
    503: "add a `retry` to the step",
}


def retry_after(value: str) -> float | None:
    """Return the seconds of a `Retry-After` header, in either form; None for anything else.

    A number of hundreds of digits returns infinity.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        return max((then - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
