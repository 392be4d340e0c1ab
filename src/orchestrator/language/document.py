"""Reads a pipeline from a file, a text or a mapping: its tree, its spec and its diagnostics."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping as MappingABC
from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, Source, Span, sort_diagnostics
from orchestrator.language.aliases.older_calls import IsKnown, OlderUse, nothing_known
from orchestrator.language.aliases.py_orc.changes import DialectChanges
from orchestrator.language.aliases.py_orc.signs import may_use_dialect
from orchestrator.language.limits import MAX_CHARACTERS
from orchestrator.language.loader.dialect_notes import report_dialect
from orchestrator.language.loader.pipeline import read_pipeline
from orchestrator.language.loader.validation import Validation
from orchestrator.language.spec.pipeline import PipelineSpec
from orchestrator.language.yaml.layout import TextLayout
from orchestrator.language.yaml.nodes import Mapping
from orchestrator.language.yaml.reader import Reading, read_tree
from orchestrator.language.yaml.writer import write_yaml
from orchestrator.remedies import RunTests
from orchestrator.text.content import read_content

_SUFFIXES = (".yaml", ".yml")
_MAX_BYTES = 4 * MAX_CHARACTERS
_TEXT, _MAPPING = "<text>", "<mapping>"


class Document(Struct, frozen=True):
    """A pipeline that was read.

    `root` is the tree as written, with the forms of the py-orc dialect in their canonical form, or None if there is
    none; `changes` are those forms. `spec` is always present and holds everything that is
    valid: an invalid key is reported once and left out; a step without an id has the id "".
    `partial` means that a syntax error hid a part of the file, so that keys may seem missing.
    """

    source: Source
    root: Mapping | None
    spec: PipelineSpec
    diagnostics: tuple[Diagnostic, ...]
    partial: bool = False
    changes: DialectChanges | None = None
    older: tuple[OlderUse, ...] = ()


def read_document(
    source: str | Path | MappingABC[str, Any], *, name: str | None = None, is_known: IsKnown = nothing_known
) -> Document:
    """Read a pipeline. Errors in its content are not raised: they are in `diagnostics`.

    Args:
        source: a path, a text, or a mapping. A text that names a file or ends in `.yaml` or `.yml` is a path, any other
            text is YAML.
        name: the name of the source in diagnostics. Default: the path, `<text>` or `<mapping>`.
        is_known: whether the project has a tool with this name: then it is not a tool of the older dialect.
    """
    if isinstance(source, MappingABC):
        try:
            text = write_yaml(source)
        except ValueError as error:
            return _failed(name or _MAPPING, f"the pipeline is not JSON data: {error}", "use JSON types only")
        return read_document_text(text, name=name or _MAPPING, is_known=is_known)
    path = source if isinstance(source, Path) else _as_path(source)
    if path is None:
        return read_document_text(str(source), name=name or _TEXT, default_id=_id_from(name), is_known=is_known)
    return _read_file(path, name or str(source), is_known)


def read_document_text(
    text: str, *, name: str = "<text>", default_id: str | None = None, is_known: IsKnown = nothing_known
) -> Document:
    """Read a pipeline from YAML text. `default_id` is used if the text has no id."""
    source = Source.of(name, text.removeprefix("\ufeff"))
    reading = read_tree(source)
    if reading.root is None or _is_test_file(reading.root):
        found = reading.diagnostics if reading.root is None else [_not_a_pipeline(source, reading.root)]
        spec = PipelineSpec(id=default_id)
        spec.at(Mapping({}, 0, 0, TextLayout(source.text)))
        return Document(source, None, spec, tuple(sort_diagnostics(found)), partial=True)
    root, changes, notes = _in_canonical_form(source, reading, reading.root, is_known)
    checks = Validation(source, partial=reading.partial, is_known=is_known)
    spec = read_pipeline(checks, root)
    if spec.id is None and default_id:
        node = spec.node
        spec = spec.model_copy(update={"id": default_id})
        spec.at(node)
    broken = {found.span.start.line for found in reading.diagnostics}
    structural = [d for d in checks.diagnostics if not _is_echo(d, reading, broken)]
    diagnostics = tuple(sort_diagnostics([*reading.diagnostics, *structural, *notes]))
    return Document(source, root, spec, diagnostics, checks.partial, changes, tuple(checks.older))


def _in_canonical_form(
    source: Source, reading: Reading, root: Mapping, is_known: IsKnown
) -> tuple[Mapping, DialectChanges | None, list[Diagnostic]]:
    """Return the tree of a file without forms of the py-orc dialect, what was changed, and what has no effect."""
    if not may_use_dialect(source.text, reading.keys, root):
        return root, None, []
    from orchestrator.language.aliases.py_orc.rewriter import rewrite_dialect

    rewritten = rewrite_dialect(root, is_known)
    return rewritten.root, rewritten.changes, report_dialect(source, rewritten.changes)


def _is_test_file(root: Mapping) -> bool:
    return "cases" in root.table and "steps" not in root.table


def _not_a_pipeline(source: Source, root: Mapping) -> Diagnostic:
    return Diagnostic(
        codes.MISSING_KEY,
        f"`{Path(source.name).name}` is a test file, not a pipeline",
        source,
        root.table["cases"].key.span,
        label="the cases of a test",
        help="give the file of the pipeline that it tests",
        remedies=() if source.name in (_TEXT, _MAPPING) else (RunTests(source.name),),
    )


def _is_echo(found: Diagnostic, reading: Reading, broken: set[int]) -> bool:
    """Whether a structural error may be caused by the repair of a syntax error on one of the broken lines."""
    line = found.span.start.line
    if found.code == codes.UNKNOWN_KEY and line in reading.moved:
        return True
    return (found.code in (codes.MISSING_KEY, codes.DUPLICATE_STEP_ID) and line in broken) or (
        found.code == codes.MISSING_KEY and line + 1 in broken
    )


def _as_path(text: str) -> Path | None:
    if "\n" in text or "\0" in text or len(text) > 4096:
        return None
    path = Path(text)
    if text.lower().endswith(_SUFFIXES):
        return path
    try:
        if text.strip() and path.exists():
            return path
    except OSError:
        return None
    return None if not text.strip() or ": " in text or text.rstrip().endswith(":") or text[0] in "[{-#&*!" else path


def _read_file(path: Path, name: str, is_known: IsKnown) -> Document:
    name = name.encode("utf-8", "replace").decode()  # a file name may contain bytes that cannot be printed
    try:
        if path.is_dir():
            return _failed(name, f"`{name}` is a directory, not a pipeline file", "pass a file in it")
        content = read_content(path, _MAX_BYTES)
    except FileNotFoundError:
        return _failed(
            name, f"file `{name}` not found", "check the path; relative paths start at the current directory"
        )
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            limit = f"{_MAX_BYTES // (1024 * 1024)} MiB"
            help = "move large data to a file that a step reads"
            return _failed(name, f"`{name}` is larger than {limit}", help, code=codes.FILE_TOO_LARGE)
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "the path is not valid"
        return _failed(name, f"`{name}` cannot be read: {reason}", "check the path and its permissions")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _failed(name, f"`{name}` is encoded as UTF-16", "save it as UTF-8")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        text = content.decode("utf-8", errors="replace")
        place = len(content[: error.start].decode("utf-8", errors="replace"))
        source = Source.of(name, text if b"\0" not in content[:4096] else "")
        span = TextLayout(source.text).span(place, place + 1) if source.text else Span.at(1, 1)
        what = "is not a text file" if b"\0" in content[:4096] else "is not UTF-8 text"
        return _failed(name, f"`{name}` {what}", "save it as UTF-8", source=source, span=span)
    return read_document_text(text, name=name, default_id=_id_from(name), is_known=is_known)


def _id_from(name: str | None) -> str | None:
    """Return the default id of a pipeline from its file name, also when its text is read from a record."""
    if name is None or name in (_TEXT, _MAPPING):
        return None
    return re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name).stem).strip("_-") or None


def _failed(
    name: str,
    message: str,
    help: str,
    *,
    code: str = codes.UNREADABLE_FILE,
    source: Source | None = None,
    span: Span | None = None,
) -> Document:
    source = source or Source.of(name, "")
    spec = PipelineSpec()
    spec.at(Mapping({}, 0, 0, TextLayout(source.text)))
    diagnostic = Diagnostic(code, message, source, span or Span.at(1, 1), help=help)
    return Document(source, None, spec, (diagnostic,), partial=True)
