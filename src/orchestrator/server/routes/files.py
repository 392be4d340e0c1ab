"""The files that runs wrote, to list and to download."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from orchestrator.server.access.caller import Reader
from orchestrator.server.downloads import file_download
from orchestrator.server.routes.parameters import (
    PROBLEMS,
    AfterQuery,
    LimitQuery,
    RunDependency,
    ServiceDependency,
)
from orchestrator.server.schemas.runs import FilePage

router = APIRouter(prefix="/v1/runs/{run_id}", tags=["files"], responses=PROBLEMS)

_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "All of it."},
    206: {"content": {"application/octet-stream": {}}, "description": "The range that `Range` names."},
    416: {"description": "There is nothing in the range."},
}


@router.get("/files", response_model=FilePage)
def list_files(
    run: RunDependency, caller: Reader, service: ServiceDependency, after: AfterQuery = 0, limit: LimitQuery = 200
) -> Any:
    """List the files that a run wrote below the output directories of the server (`outputs` in `[serve]`)."""
    found, next = service.files.list(run, after, limit)
    return {
        "files": [
            {
                "path": file.path,
                "step": file.step,
                "attempt": file.attempt,
                "size": file.size,
                "written_at": file.written_at,
                "digest": file.digest,
                "available": file.available,
                "href": f"/v1/runs/{run.id}/files/content?path={quote(file.path, safe='/')}",
            }
            for file in found
        ],
        "next": next,
    }


@router.get("/files/content", response_class=Response, responses=_CONTENT)
def download_file(
    run: RunDependency,
    caller: Reader,
    service: ServiceDependency,
    path: Annotated[str, Query(min_length=1, max_length=4_000, description="A `path` of the list of files.")],
) -> Response:
    """Download a file that a run wrote, or a range of it. It is an attachment, whatever it contains."""
    return file_download(service.files.open(run, path), path)
