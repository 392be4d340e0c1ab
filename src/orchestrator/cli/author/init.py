"""`init`: a commented pipeline to start from."""

import shlex
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.text.content import path_kind


def _free(path: Path) -> Path:
    """Return a free path next to this one."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return next(other for other in numbered if path_kind(other) is None)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("pipeline.yaml"),
    json: common.JsonOption = False,
) -> None:
    """Write a commented pipeline to start from. An existing file is never overwritten."""
    from orchestrator.cli.terminal.output import emit, emit_json, say
    from orchestrator.errors import ConfigurationError
    from orchestrator.language.reference.starter import starter

    target = file / "pipeline.yaml" if path_kind(file) == "directory" else file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as out:
            out.write(starter(target))
    except FileExistsError:
        raise ConfigurationError(
            f"`{target}` already exists and was not changed",
            help=f"name another file, for example: orchestrator init {shlex.quote(str(_free(target)))}",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"`{target}` cannot be written: {(error.strerror or str(error)).lower()}",
            help="name a file in a writable directory",
        ) from None
    if json:
        emit_json({"file": str(target)})
    else:
        emit(str(target))
    say(f"written; run it with: orchestrator run {target}", "green")
