"""The types of settings: what each accepts, and the words for what it refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, WrapValidator

from orchestrator.config.setting_errors import SettingProblem
from orchestrator.config.vocabulary import (
    CAPABILITIES,
    AccessScope,
    MailSecurity,
    Period,
    ServerKind,
    TargetType,
)
from orchestrator.config.vocabulary import SearchProvider as Provider
from orchestrator.diagnostics import suggest
from orchestrator.remedies import StoreKey
from orchestrator.text.durations import parse_duration
from orchestrator.text.hosts import host_problem
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidatorFunctionWrapHandler

    from orchestrator.remedies import Remedy


def must_be(words: str) -> WrapValidator:
    """Report whatever the type before it refuses in these words."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except (ValidationError, OverflowError):
            raise SettingProblem(f"{{}} must be {words}") from None

    return WrapValidator(check)


def known_words(noun: str, words: tuple[str, ...]) -> BeforeValidator:
    """Refuse other words than these, alone or in a list; suggest the nearest one."""

    def check(value: Any) -> Any:
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str) and word not in words:
                near = suggest(word, words)
                help = f"did you mean `{near}`?" if near else f"write {quoted_list(words, last='or')}"
                raise SettingProblem(f"{{}}: unknown {noun} `{shorten(word)}`", help=help)
        return value

    return BeforeValidator(check)


def matching(pattern: str, problem: str, help: str, remedy: Callable[[str], Remedy] | None = None) -> AfterValidator:
    """Refuse a text, or a list with one, that does not match a pattern. The text can be a secret: it is not shown."""

    def check(value: Any) -> Any:
        if not all(re.fullmatch(pattern, text) for text in ([value] if isinstance(value, str) else value)):
            raise SettingProblem(problem, help=help, remedy=remedy)
        return value

    return AfterValidator(check)


def _duration(value: object) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise SettingProblem(f"{{}} is not a duration: {error}") from None


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise SettingProblem("{} is not a duration: it must be more than 0")
    return seconds


def _share(value: object) -> object:
    """Return a percentage as a number from 0 to 1."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    return value if found is None else float(found[1]) / 100


def _mail_address(address: str) -> str:
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+|[^<>\r\n]*<[^@\s<>]+@[^@\s<>]+>", address):
        raise SettingProblem("{} must be a mail address")
    return address


def _hosts(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        if problem := host_problem(entry):
            raise SettingProblem(f"{{}}: `{shorten(entry.rpartition('@')[2])}`: {problem}")
    return entries


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise SettingProblem("{} must be the URL of a server")
    return url


_List = Field(strict=False)  # TOML's lists become tuples and sets
_Filled = Annotated[str, Field(pattern=r"\S")]
_Texts = Annotated[tuple[_Filled, ...], _List]
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"

Flag = Annotated[bool, must_be("true or false")]
Whole = Annotated[int, Field(ge=1), must_be("an integer of at least 1")]
Port = Annotated[int, Field(ge=0, le=65_535), must_be("a port, from 0 to 65535")]
Rank = Annotated[int, Field(ge=1, le=5), must_be("an integer from 1 to 5")]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False), must_be("a number of at least 0")]
Share = Annotated[
    float,
    Field(ge=0, le=1, allow_inf_nan=False),
    BeforeValidator(_share),
    must_be("a share, such as `80%`, or a number from 0 to 1"),
]
Duration = Annotated[float, BeforeValidator(_duration)]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]

AnyText = Annotated[str, must_be("a string")]
Text = Annotated[_Filled, must_be("a text")]
Texts = Annotated[_Texts, must_be("a list of strings")]
Words = Annotated[frozenset[_Filled], _List, must_be("a list of strings")]
Command = Annotated[_Texts, Field(min_length=1), must_be("a list of strings: the program and its arguments")]
Commands = Annotated[bool | _Texts, must_be("true, false or a list of commands")]

Kind = Annotated[ServerKind, must_be("a text"), known_words("kind", get_args(ServerKind))]
BudgetPeriod = Annotated[Period, must_be("a text"), known_words("period", get_args(Period))]
SearchProvider = Annotated[Provider, must_be("a text"), known_words("provider", get_args(Provider))]
NoticeType = Annotated[TargetType, must_be("a text"), known_words("type", get_args(TargetType))]
Encryption = Annotated[MailSecurity, must_be("a text"), known_words("encryption", get_args(MailSecurity))]
MailAddress = Annotated[Text, AfterValidator(_mail_address)]
MailAddresses = Annotated[tuple[MailAddress, ...], _List, must_be("a list of mail addresses")]
Capabilities = Annotated[Words, known_words("capability", CAPABILITIES)]
Scopes = Annotated[Texts, known_words("scope", get_args(AccessScope))]
Hosts = Annotated[Texts, AfterValidator(_hosts)]
Url = Annotated[Text, AfterValidator(_url)]
ServerUrl = Annotated[
    Url,
    matching(
        r"(?s)[^/]*//[^/?#@]*([/?#].*)?",
        "{} contains a password",
        "name the variable that contains the key with `api_key_env`",
        StoreKey,
    ),
]

PlainUrl = Annotated[
    Url,
    matching(
        r"(?s)[^/]*//[^/?#@]*([/?#].*)?",
        "{} contains a password",
        "put the address into a variable, and name the variable with `url_env`",
    ),
]

_named_secret = matching(
    _VARIABLE,
    "{} must name environment variables, not contain a secret",
    "put the secret into an environment variable, and use its name",
)
Variable = Annotated[Text, _named_secret]
Variables = Annotated[Texts, _named_secret]
KeyVariable = Annotated[
    Text,
    matching(
        _VARIABLE,
        "{} must be the name of an environment variable, not the key itself",
        "put the key into a variable",
        StoreKey,
    ),
]
ServerName = Annotated[
    str,
    matching(
        r"(?!auto\Z)[A-Za-z][A-Za-z0-9._-]*",
        "{}: invalid server name",
        "use a letter, then letters, digits, `-`, `_` and `.`; `auto` is reserved",
    ),
]
StorageName = Annotated[
    str,
    matching(
        r"[A-Za-z_][A-Za-z0-9_-]*",
        "{}: invalid name of a store",
        "start with a letter, then use letters, digits, `-` and `_`",
    ),
]
DatabaseName = Annotated[
    str,
    matching(
        r"[A-Za-z_][A-Za-z0-9_-]*",
        "{}: invalid database name",
        "start with a letter, then use letters, digits, `-` and `_`",
    ),
]
McpName = Annotated[
    str,
    matching(
        r"[A-Za-z_][A-Za-z0-9_-]*",
        "{}: invalid server name",
        "start with a letter, then use letters, digits, `-` and `_`",
    ),
]
MailServerName = McpName
