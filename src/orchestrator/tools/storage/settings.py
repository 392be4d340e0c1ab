"""The stores in `orchestrator.toml`: a table `[storage.NAME]` for each bucket, or part of one, that steps may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.config.project_file import ProjectFile
from orchestrator.config.setting_errors import SettingProblem
from orchestrator.diagnostics import suggest
from orchestrator.errors import StepError
from orchestrator.text.words import quoted_list
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.storage.addresses import NAMED, AddressProblem, StorageUrl, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.tools.sandbox.permissions import Permissions

_RELATIVE: Final = "file:"
_ONLY_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "region": ("s3",),
    "endpoint": ("s3", "gs", "az"),
    "account": ("az",),
    "key_env": ("s3",),
    "secret_env": ("s3", "gs", "az"),
    "token_env": ("s3", "az"),
    "anonymous": ("s3", "gs", "az"),
}


class StorageSetting(Struct, frozen=True):
    """A store that steps may use: what is in `container` below `prefix`. Credentials are in the environment."""

    name: str
    scheme: str
    container: str
    prefix: tuple[str, ...]
    read_only: bool = True
    region: str | None = None
    endpoint: str | None = None
    account: str | None = None
    key_env: str | None = None
    secret_env: str | None = None
    token_env: str | None = None
    anonymous: bool = False

    def shown(self, key: str) -> str:
        """Return a key as messages show it: what follows the prefix."""
        return key.removeprefix("/".join(self.prefix)).removeprefix("/")

    def secret(self, variable: str | None) -> str | None:
        """Return the value of an environment variable with a credential; None if none is named.

        Raises:
            StepError: The variable is not set.
        """
        if variable is None:
            return None
        value = os.environ.get(variable, "").strip()
        if not value:
            raise StepError(
                f"the environment variable `{variable}`, which the store `{self.name}` needs, is not set",
                code=codes.STORAGE_FAILED,
                help="set it, and resume the run",
                retryable=False,
            )
        return value


class StoredPlace(Struct, frozen=True):
    """An object of a store, or what is below a key of it. `key` begins at the bucket, or at the root of the disk."""

    store: StorageSetting
    key: tuple[str, ...]
    url: str

    @property
    def path(self) -> str:
        """The key as one text."""
        return "/".join(self.key)


def load_storage(directory: str | Path = ".") -> dict[str, StorageSetting]:
    """Read the stores from `orchestrator.toml` in `directory`, by name.

    Raises:
        ConfigurationError: The file is not valid TOML, or a setting is unknown or has the wrong type.
    """
    file = ProjectFile.load(directory)
    if not file.has("storage"):
        return {}
    from orchestrator.config.tables.storage import StorageSection

    found: dict[str, StorageSetting] = {}
    for name, table in file.read(StorageSection, _problems(file)).storage.items():
        url = _read_url(table.url or "", directory)
        found[name] = StorageSetting(
            name,
            url.scheme,
            url.container,
            url.key,
            table.read_only,
            table.region,
            table.endpoint,
            table.account,
            table.key_env,
            table.secret_env,
            table.token_env,
            table.anonymous,
        )
    return found


def _read_url(url: str, directory: str | Path) -> StorageUrl:
    if url.startswith(_RELATIVE) and not url.startswith("file://"):
        path = os.path.normpath(Path(directory).absolute() / url.removeprefix(_RELATIVE))
        return StorageUrl("file", "", Path(path).parts[1:])
    found = parse_address(url, folder=True)
    if found.scheme == NAMED:
        raise AddressProblem("is the address of an object in another store")
    return found


def place_of(
    url: str, permissions: Permissions, *, writes: bool, folder: bool = False, parameter: str | None = None
) -> StoredPlace | Refusal:
    """Return the place of an address in the store that has it, or refuse it.

    Of several tables that have it, the one with the longest prefix decides.
    """
    try:
        address = parse_address(url, folder=folder)
    except AddressProblem as error:
        return Refusal(parameter, f"`{url[:200]}` {error}", advice="correct the address")
    stores = load_storage(permissions.directory)
    if address.scheme == NAMED:
        store = stores.get(address.container)
        if store is None:
            return _unknown(address.container, stores, parameter)
        place = StoredPlace(store, (*store.prefix, *address.key), url)
    else:
        found = [
            each
            for each in stores.values()
            if (each.scheme, each.container) == (address.scheme, address.container)
            and address.key[: len(each.prefix)] == each.prefix
        ]
        if not found:
            example = f"{address.scheme}://{address.container}" if address.container else "file:///directory"
            advice = f'add a table `[storage.NAME]` with `url = "{example}"` to orchestrator.toml'
            return Refusal(parameter, f"no store of orchestrator.toml has `{url[:200]}`", advice=advice)
        store = max(found, key=lambda each: (len(each.prefix), each.read_only is not writes))
        place = StoredPlace(store, address.key, url)
    if not folder and len(place.key) <= len(store.prefix):
        return Refusal(parameter, f"`{url[:200]}` names no object", advice="add the name of an object")
    if writes and store.read_only:
        advice = f"set `read_only = false` in `[storage.{store.name}]` of orchestrator.toml"
        return Refusal(parameter, f"the store `{store.name}` is read-only", advice=advice)
    return place


def _unknown(name: str, known: Mapping[str, StorageSetting], parameter: str | None) -> Refusal:
    near = suggest(name, tuple(known))
    names = f"; the stores are {quoted_list(tuple(known))}" if known else ""
    advice = f"did you mean `{near}`?" if near else f"add a table `[storage.{name}]` with its `url`{names}"
    return Refusal(parameter, f"orchestrator.toml has no store `{name}`", advice=advice)


def _problems(file: ProjectFile) -> Iterator[SettingProblem]:
    for name, table in file.tables("storage").items():
        keys = ("storage", name)
        url = table.get("url")
        if not isinstance(url, str) or not url:
            help = 'write `url = "s3://bucket"`, or `url = "s3://bucket/folder"` for a part of it'
            yield SettingProblem("{} must have a `url`", help=help, keys=keys)
            continue
        try:
            scheme = _read_url(url, ".").scheme
        except AddressProblem as error:
            yield SettingProblem(f"{{}} {error}", help='for example `url = "s3://bucket/folder"`', keys=(*keys, "url"))
            continue
        yield from _table_problems(keys, scheme, table)


def _table_problems(keys: tuple[str, ...], scheme: str, table: Mapping[str, Any]) -> Iterator[SettingProblem]:
    for setting, schemes in _ONLY_FOR.items():
        if setting in table and scheme not in schemes:
            known = quoted_list(f"{each}://" for each in schemes)
            yield SettingProblem(
                f"{{}} has no meaning for `{scheme}://`", help=f"it is for {known}: remove it", keys=(*keys, setting)
            )
    if scheme == "s3" and ("key_env" in table) != ("secret_env" in table):
        yield SettingProblem("{} must have both `key_env` and `secret_env`", help="give both, or none", keys=keys)
    if scheme == "az" and "account" not in table:
        help = 'write `account = "NAME"`, the storage account of the container'
        yield SettingProblem("{} must have an `account`", help=help, keys=keys)
    if table.get("anonymous") and any(f"{each}_env" in table for each in ("key", "secret", "token")):
        yield SettingProblem("{} is anonymous and has credentials", help="remove one of them", keys=keys)
