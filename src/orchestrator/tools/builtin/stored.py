"""Files of stores where a tool takes the path of a file: `s3://bucket/sales.csv`, `storage://reports/sales.csv`."""

import mimetypes
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.remedies import InstallExtra
from orchestrator.tools.builtin.access import check_access
from orchestrator.tools.contract import RefusalCheck, ToolContext
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.storage.addresses import is_address

if TYPE_CHECKING:
    from orchestrator.tools.storage.backend import StorageBackend, StoredObject
    from orchestrator.tools.storage.settings import StoredPlace


def checks_sources(**accesses: Literal["read", "write"]) -> RefusalCheck:
    """Return a `refusal` that checks these parameters, which are paths or addresses if they are strings."""

    def refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
        checks = ((name, known.get(name), access) for name, access in accesses.items())
        found = (
            check_source(permissions, text, access, name) for name, text, access in checks if isinstance(text, str)
        )
        return next((each for each in found if each is not None), None)

    return refusal


def check_source(
    permissions: Permissions, text: str, access: Literal["read", "write"], parameter: str | None = None
) -> Refusal | None:
    """Check the path of a file, or the address of an object, for one kind of access."""
    if not is_address(text):
        return check_access(permissions, text, access, parameter)
    from orchestrator.tools.storage.settings import place_of

    place = place_of(text, permissions, writes=access == "write", parameter=parameter)
    return place if isinstance(place, Refusal) else None


def stored_place(context: ToolContext, url: str, *, writes: bool, folder: bool = False) -> "StoredPlace":
    """Return the place of an address.

    Raises:
        PermissionDenied: No store has it, or its store may not be written.
    """
    from orchestrator.tools.storage.settings import place_of

    place = place_of(url, context.permissions, writes=writes, folder=folder)
    if isinstance(place, Refusal):
        raise place.error()
    return place


def backend_for(context: ToolContext, place: "StoredPlace") -> "StorageBackend":
    """Return what carries out requests to the store of a place.

    Raises:
        StepError: The extra `storage` is not installed, or a variable with a credential is not set.
    """
    from orchestrator.tools.storage.connection import backend_of

    try:
        return backend_of(place.store, context.permissions)
    except ModuleNotFoundError as error:
        message = f"the address `{place.url}` requires `storage`, which is not installed"
        remedies = [InstallExtra("storage")]
        raise StepError(message, code=codes.EXTRA_MISSING, remedies=remedies, retryable=False) from error


def read_stored(context: ToolContext, url: str, max_bytes: int) -> tuple[bytes, "StoredObject"]:
    """Return the bytes of an object, and what it is.

    Raises:
        StepError: It cannot be read, or is larger.
    """
    place = stored_place(context, url, writes=False)
    content = backend_for(context, place).open(place.path)
    pieces: list[bytes] = []
    for piece in bounded_chunks(content.chunks, content.object.size, max_bytes, url):
        pieces.append(piece)
        if content.object.size > len(piece):
            context.progress(sum(map(len, pieces)) / content.object.size, url)
    return b"".join(pieces), content.object


def bounded_chunks(chunks: Iterator[bytes], size: int, max_bytes: int, url: str) -> Iterator[bytes]:
    """Yield pieces of an object, unless it is larger than `max_bytes`."""
    if size > max_bytes:
        raise StepError(
            f"`{url}` has {size:,} bytes, more than the limit of {max_bytes:,}",
            code=codes.STORAGE_FAILED,
            help="raise `max_bytes`, or read a smaller object",
            retryable=False,
        )
    yield from chunks


def write_stored(context: ToolContext, url: str, data: bytes, *, overwrite: bool = True) -> "StoredObject":
    """Write an object as a whole or not at all.

    Raises:
        StepError: It cannot be written.
    """
    place = stored_place(context, url, writes=True)
    backend = backend_for(context, place)
    return backend.write(place.path, data, overwrite=overwrite, content_type=media_type(url))


def media_type(name: str) -> str | None:
    """Return the media type that a name shows, if it shows one."""
    return {".jsonl": "application/jsonl", ".parquet": "application/vnd.apache.parquet"}.get(
        name[name.rfind(".") :].lower(), mimetypes.guess_type(name, strict=False)[0]
    )
