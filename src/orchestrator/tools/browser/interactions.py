"""What a visit does on a page, and what it takes from it, as pipelines write it: checked before a browser starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import StepError
from orchestrator.text.words import describe_value, quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LOCATORS: Final = ("role", "label", "text", "placeholder", "test_id", "css")
"""How an element is found; `name` belongs to `role`, `nth` and `exact` to any."""

_MORE: Final = ("name", "nth", "exact")

ACTIONS: Final[Mapping[str, tuple[str, Mapping[str, type]]]] = {
    # by the key of an action: what its value is, and the further keys that it takes
    "open": ("text", {}),
    "click": ("target", {}),
    "hover": ("target", {}),
    "fill": ("target", {"value": str}),
    "select": ("target", {"value": str}),
    "check": ("target", {}),
    "uncheck": ("target", {}),
    "press": ("text", {"on": object}),
    "wait_for": ("target", {"state": str}),
    "download": ("target", {"path": str}),
    "screenshot": ("text", {"of": object, "full_page": bool}),
}
_NEEDED: Final = {"fill": "value", "select": "value", "download": "path"}
_STATES: Final = ("visible", "hidden", "attached", "detached")

EXTRACTIONS: Final = ("text", "texts", "markdown", "html", "links", "table", "value", "attribute", "count")
_PICTURES: Final = (".png", ".jpg", ".jpeg")
MOST_ACTIONS: Final = 100


def read_actions(actions: Sequence[Any] | None) -> list[dict[str, Any]]:
    """Return the actions of a visit in one form: `do`, `target` or `text`, and their further keys.

    Raises:
        StepError: One is not an action.
    """
    if len(actions or ()) > MOST_ACTIONS:
        raise _invalid("actions", f"there are more than {MOST_ACTIONS}", "make several visits")
    return [_read_action(f"actions[{index}]", action) for index, action in enumerate(actions or ())]


def _read_action(where: str, action: Any) -> dict[str, Any]:
    if not isinstance(action, dict):
        raise _invalid(where, f"{describe_value(action)} is not an action", _example())
    found = [key for key in action if key in ACTIONS]
    if len(found) != 1:
        if found:
            raise _invalid(where, f"{quoted_list(found)} are several actions", "write each as an item of the list")
        key = str(next(iter(action), ""))
        near = suggest(key, ACTIONS)
        raise _invalid(where, f"unknown action `{key}`", f"did you mean `{near}`?" if near else _example())
    do = found[0]
    kind, more = ACTIONS[do]
    for key, value in action.items():
        if key != do and key not in more:
            known = quoted_list([do, *more])
            raise _invalid(where, f"`{do}` does not take `{key}`", f"it takes {known}")
        wanted = more.get(key, object)
        if key != do and wanted is not object and not isinstance(value, wanted):
            words = "true or false" if wanted is bool else "text"
            raise _invalid(f"{where}.{key}", f"{describe_value(value)} is not {words}")
    missing = _NEEDED.get(do)
    if missing is not None and missing not in action:
        raise _invalid(where, f"`{do}` needs `{missing}`", None)
    result = {**action, "do": do}
    value = result.pop(do)
    if kind == "target":
        result["target"] = read_target(f"{where}.{do}", value)
    elif isinstance(value, str) and value:
        result["text"] = value
    else:
        raise _invalid(f"{where}.{do}", f"{describe_value(value)} is not text")
    for key in ("on", "of"):
        if key in result:
            result[key] = read_target(f"{where}.{key}", result[key])
    if do == "wait_for" and result.get("state", "visible") not in _STATES:
        raise _invalid(
            f"{where}.state", f"unknown state `{result['state']}`", f"write {quoted_list(_STATES, last='or')}"
        )
    if do == "screenshot":
        check_picture(f"{where}.screenshot", result["text"])
    if do == "open":
        check_address(f"{where}.open", result["text"])
    return result


def check_picture(where: str, path: str) -> None:
    """Refuse a file name that stands for no format of pictures.

    Raises:
        StepError: It does not.
    """
    if not path.lower().endswith(_PICTURES):
        raise _invalid(where, f"`{path}` does not name a picture", "end it with `.png` or `.jpg`")


def check_address(where: str, url: str) -> None:
    """Refuse what is not a web address.

    Raises:
        StepError: It is not one.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise _invalid(where, "it is not an HTTP URL", "start it with `https://`")


def read_target(where: str, target: Any) -> dict[str, Any]:
    """Return how an element is found; text is a CSS selector.

    Raises:
        StepError: It does not describe an element.
    """
    if isinstance(target, str) and target.strip():
        return {"css": target}
    if not isinstance(target, dict):
        raise _invalid(
            where,
            f"{describe_value(target)} does not describe an element",
            'write a CSS selector, or how a person would find it: `{role: button, name: "Log in"}`',
        )
    unknown = [key for key in target if key not in LOCATORS and key not in _MORE]
    ways = [key for key in target if key in LOCATORS]
    if unknown or len(ways) != 1:
        problem = f"unknown key `{unknown[0]}`" if unknown else "it needs exactly one way to find an element"
        raise _invalid(where, problem, f"write one of {quoted_list(LOCATORS)}, and `name` for a `role`")
    wrong = [key for key in (*ways, "name") if key in target and not (isinstance(target[key], str) and target[key])]
    if wrong:
        raise _invalid(f"{where}.{wrong[0]}", f"{describe_value(target[wrong[0]])} is not text")
    if "name" in target and "role" not in target:
        raise _invalid(where, "`name` belongs to `role`", "write `{role: button, name: ...}`")
    if not isinstance(target.get("exact", False), bool):
        raise _invalid(f"{where}.exact", "it must be true or false")
    if isinstance(target.get("nth", 0), bool) or not isinstance(target.get("nth", 0), int):
        raise _invalid(f"{where}.nth", "it must be a whole number, from 0; -1 is the last")
    return dict(target)


def read_extractions(extract: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what is taken from a page, by name: `kind` and `target`.

    Raises:
        StepError: One is not an extraction.
    """
    return {name: _read_extraction(f"extract.{name}", each) for name, each in (extract or {}).items()}


def _read_extraction(where: str, extraction: Any) -> dict[str, Any]:
    if isinstance(extraction, str):
        extraction = {"text": extraction}
    if not isinstance(extraction, dict):
        raise _invalid(where, f"{describe_value(extraction)} is not an extraction", "write `{text: h1}`")
    kinds = [key for key in extraction if key in EXTRACTIONS]
    unknown = [key for key in extraction if key not in (*EXTRACTIONS, "of", "optional")]
    if unknown or len(kinds) != 1:
        near = suggest(str(unknown[0]), EXTRACTIONS) if unknown else None
        problem = f"unknown key `{unknown[0]}`" if unknown else "it needs exactly one kind"
        raise _invalid(
            where, problem, f"did you mean `{near}`?" if near else f"write one of {quoted_list(EXTRACTIONS)}"
        )
    kind = kinds[0]
    optional = extraction.get("optional", False)
    if not isinstance(optional, bool):
        raise _invalid(f"{where}.optional", "it must be true or false")
    if kind == "attribute":
        name = extraction["attribute"]
        if not isinstance(name, str) or not name or "of" not in extraction:
            raise _invalid(
                where, "`attribute` needs the name of an attribute, and `of`", "write `{attribute: href, of: a}`"
            )
        target = read_target(f"{where}.of", extraction["of"])
        return {"kind": kind, "target": target, "name": name, "optional": optional}
    if "of" in extraction:
        raise _invalid(where, "`of` belongs to `attribute`", f"write `{{{kind}: SELECTOR}}`")
    return {"kind": kind, "target": read_target(f"{where}.{kind}", extraction[kind]), "optional": optional}


def written_paths(actions: Any) -> Iterator[str]:
    """Yield the paths that actions write to, as far as they are known."""
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict):
            for key in ("screenshot", "path"):
                if isinstance(path := action.get(key), str):
                    yield path


def opened_addresses(actions: Any) -> Iterator[str]:
    """Yield the addresses that actions open, as far as they are known."""
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict) and isinstance(url := action.get("open"), str):
            yield url


def _example() -> str:
    return f"write one of {quoted_list(ACTIONS)}, such as `{{click: {{role: button, name: Search}}}}`"


def _invalid(where: str, problem: str, help: str | None = None) -> StepError:
    return StepError(f"`{where}`: {problem}", code=codes.INVALID_PARAMETER, help=help, retryable=False)
