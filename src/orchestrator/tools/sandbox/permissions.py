"""What tools may access: files, commands and network addresses. Everything not listed here is denied."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.config.project_file import CONFIGURATION_FILE, ProjectFile, keys_file
from orchestrator.errors import ConfigurationError
from orchestrator.remedies import AllowCommands, AllowHost, AllowPath
from orchestrator.text.hosts import host_name, host_problem, parse_host
from orchestrator.text.words import quoted_list
from orchestrator.tools.sandbox.paths import Location, real_path
from orchestrator.tools.sandbox.protection import (
    HOME,
    Directories,
    Guard,
    identities,
    is_home,
    is_reserved,
    lies_in,
    running_code,
)
from orchestrator.tools.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96", "fec0::/10", "2001::/23")
)
"""Networks for special purposes, some of which Python's older releases call global: metadata, translation, sites."""

_METADATA = "169.254.169.254"
_KNOWN_NAMES = {"localhost": "127.0.0.1", "metadata.google.internal": _METADATA, "instance-data": _METADATA}

Access = Literal["read", "write", "remove"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Permissions(Struct, frozen=True):
    """What the tools of a run may do.

    Files: inside `directory` (the base of relative paths), `output_directory` and `allow_paths`, after every symbolic
    link is resolved. Commands: none, all (`allow_run=True`) or those named; a named command is found on the `PATH` of
    this process, and its arguments are not restricted. Hosts: public addresses, and the private ones in `allow_hosts`:
    `host`, `host:port`, an address, or a network such as `10.0.0.0/8`.

    Regardless of these, no step can change anything named `orchestrator.toml` or `.orchestrator`, provider keys, the
    code that runs Orchestrator, or `protected`: an `Orchestrator` adds its store and the files of its tools. No step
    can put a module into the `searched` directories, where tools look for modules, or below them where an import finds
    it, nor a pipeline into the `offered` directories of a server, except below its `outputs`. Nor can a step read what
    is in a directory named `.orchestrator`, or `private`: its store.
    """

    directory: Path
    output_directory: Path | None = None
    allow_paths: tuple[Path, ...] = ()
    allow_run: bool | tuple[str, ...] = False
    allow_hosts: tuple[str, ...] = ()
    protected: tuple[Path, ...] = ()
    searched: tuple[Path, ...] = ()
    private: tuple[Path, ...] = ()
    offered: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()

    @classmethod
    def load(cls, directory: str | Path = ".") -> Permissions:
        """Read the `[allow]` table of `orchestrator.toml` in `directory`; without the file, nothing is allowed.

        Raises:
            ConfigurationError: The file is not valid TOML, or a setting is unknown or has the wrong type.
        """
        base, file = cls(Path(directory).absolute()), ProjectFile.load(directory)
        if not file.has("allow"):
            return base
        from orchestrator.config.tables.run import PermissionSection

        allow = file.read(PermissionSection).allow
        return base.extended(paths=allow.paths, run=allow.run, hosts=allow.hosts)

    def extended(
        self,
        *,
        paths: str | Path | Iterable[str | Path] = (),
        run: bool | str | Sequence[str] = False,
        hosts: str | Iterable[str] = (),
        output_directory: str | Path | None = None,
    ) -> Permissions:
        """Return these permissions extended as by the options `--allow-...`."""
        run = (run,) if isinstance(run, str) else run
        hosts = (hosts,) if isinstance(hosts, str) else hosts
        paths = (paths,) if isinstance(paths, str | Path) else paths
        if run is True or self.allow_run is True:
            commands: bool | tuple[str, ...] = True
        else:
            commands = (*(self.allow_run or ()), *(run or ())) or False
        added_hosts = tuple(hosts)
        for host in added_hosts:
            problem = host_problem(host)
            if problem:
                raise ConfigurationError(f"the host `{host}` cannot be allowed: {problem}")
        return replace(
            self,
            output_directory=self.directory / output_directory if output_directory else self.output_directory,
            allow_paths=(*self.allow_paths, *(self.directory / path for path in paths)),
            allow_run=commands,
            allow_hosts=(*self.allow_hosts, *added_hosts),
        )

    def protecting(
        self,
        *paths: Path,
        searched: Iterable[Path] = (),
        private: Iterable[Path] = (),
        offered: Iterable[Path] = (),
        outputs: Iterable[Path] = (),
    ) -> Permissions:
        """Return these permissions with more paths that no step can change, put modules or pipelines into, or read."""
        return replace(
            self,
            protected=tuple(dict.fromkeys((*self.protected, *paths))),
            searched=tuple(dict.fromkeys((*self.searched, *searched))),
            private=tuple(dict.fromkeys((*self.private, *private))),
            offered=tuple(dict.fromkeys((*self.offered, *offered))),
            outputs=tuple(dict.fromkeys((*self.outputs, *outputs))),
        )

    @property
    def roots(self) -> tuple[Path, ...]:
        """The directories and files that may be accessed, with symbolic links resolved."""
        listed = (self.directory, *((self.output_directory,) if self.output_directory else ()), *self.allow_paths)
        return tuple(Path(real_path(path)) for path in listed)

    @property
    def own_paths(self) -> tuple[str, ...]:
        """The files and directories that no step can change. Some may be links, or missing."""
        home = str(self.directory)
        code = (path for path in running_code() if not lies_in(home, path))
        project = (os.path.join(home, CONFIGURATION_FILE), os.path.join(home, HOME))  # noqa: PTH118 - called often
        return (*project, str(keys_file()), *code, *map(str, self.protected))

    @property
    def _private_paths(self) -> tuple[str, ...]:
        """The files and directories that no step can read."""
        return (os.path.join(str(self.directory), HOME), *map(str, self.private))  # noqa: PTH118 - called often

    def locate(self, path: str | Path, *, access: Access = "read", parameter: str | None = None) -> Location | Refusal:
        """Resolve every symbolic link of `path` and find the allowed directory that contains it, or refuse it."""
        text = os.fspath(path)
        if "\0" in text:
            return Refusal(parameter, "the path contains a NUL character")
        try:
            os.fsencode(text)
        except UnicodeEncodeError:
            return Refusal(parameter, "the path contains a lone surrogate, which is not valid in a file name")
        real, keys = Path(real_path(self.directory / text)), str(keys_file())
        if str(real) == real_path(keys):
            return Refusal(parameter, f"`{text}` contains provider keys and cannot be used by a pipeline")
        if access == "read":
            guard = Guard(identities([keys, *self._private_paths]))
            lexical = os.path.normpath(self.directory / text)
            if any(lies_in(str(real), real_path(own)) or lies_in(lexical, own) for own in self._private_paths):
                return _private(text, parameter)
        else:
            guard = Guard(
                identities(self.own_paths),
                names=True,
                searched=identities(map(str, self.searched)),
                offered=Directories.of(self.offered),
                outputs=frozenset(map(str, self.outputs)),
            )
        for root in self.roots:
            if real == root and not root.is_dir():
                return Location(root.parent, (root.name,), text, guard)
            if real.is_relative_to(root):
                place = Location(root, real.relative_to(root).parts, text, guard)
                return _private(text, parameter) if access == "read" and any(map(is_home, place.parts)) else place
        allowed = quoted_list(self.roots)
        through = "" if Path(os.path.normpath(self.directory / text)) == real else f" (which is `{real}`)"
        message = f"`{text}`{through} is outside the directories that this run may access: {allowed}"
        return Refusal(parameter, message, AllowPath(str(real)))

    def check_read(self, path: str | Path, *, parameter: str | None = None) -> Refusal | None:
        """Refuse a path outside the allowed directories."""
        place = self.locate(path, parameter=parameter)
        return place if isinstance(place, Refusal) else None

    def check_write(self, path: str | Path, *, parameter: str | None = None) -> Refusal | None:
        """Refuse as `check_read` does, and also protected files, which would let a pipeline extend its permissions."""
        place = self.locate(path, access="write", parameter=parameter)
        if isinstance(place, Refusal):
            return place
        message = f"`{place.text}` belongs to Orchestrator and cannot be changed by a pipeline"
        lexical = os.path.normpath(self.directory / place.text)
        advice = place.guard.advice(str(place.path)) or place.guard.advice(lexical)
        if advice is not None:
            return Refusal(parameter, message, advice=advice)
        return Refusal(parameter, message) if self._is_own(place, lexical) else None

    def _is_own(self, place: Location, lexical: str) -> bool:
        """Whether a location, or the name that led to it, is protected."""
        bases = (str(base) for base in (self.directory, *self.roots))
        below = next((lexical[len(base) :] for base in bases if lies_in(lexical, base)), Path(lexical).name)
        if any(map(is_reserved, (*place.parts, *Path(below).parts))):
            return True
        real = str(place.path)
        if any(lies_in(real, real_path(own)) or lies_in(lexical, own) for own in self.own_paths):
            return True
        way = [str(place.root.joinpath(*place.parts[:count])) for count in range(1, len(place.parts) + 1)]
        return not place.guard.identities.isdisjoint(identities([*way, lexical]))

    def check_remove(self, path: str | Path, *, parameter: str | None = None) -> Refusal | None:
        """Refuse as `check_write` does, and refuse a directory that this run works in, or a parent of it."""
        refusal = self.check_write(path, parameter=parameter)
        if refusal:
            return refusal
        real = real_path(self.directory / os.fspath(path))
        if any(lies_in(str(root), real) and root.is_dir() for root in self.roots):
            return Refusal(parameter, f"`{path}` contains a directory that this run works in, so it cannot be removed")
        if any(lies_in(real_path(own), real) and os.path.lexists(own) for own in self.own_paths):
            return Refusal(
                parameter, f"`{path}` contains a file that belongs to Orchestrator, so a pipeline cannot change it"
            )
        return None

    def check_replace(self, place: Location) -> Refusal | None:
        """Refuse a location where a link, or a directory with links, would redirect an allowed directory."""
        if any(root.is_relative_to(place.path) for root in self.roots):
            return Refusal(None, f"`{place.text}` is, or would contain, a directory that this run works in")
        return None

    def check_run(self, command: str | Sequence[str], *, parameter: str | None = None) -> Refusal | None:
        """Refuse a command that is not allowed. A string runs in a shell, so it requires `allow_run=True`."""
        if self.allow_run is True:
            return None
        if isinstance(command, str):
            return Refusal(parameter, "running a shell command is not allowed", AllowCommands())
        program = command[0] if command else ""
        if self.allow_run and program in self.allow_run:
            return None
        named = f"; allowed: {quoted_list(self.allow_run)}" if self.allow_run else ""
        return Refusal(parameter, f"running `{program}` is not allowed{named}", AllowCommands())

    def find_program(self, program: str) -> str:
        """Return the file to execute for `program`, so that `env` or `cwd` of a step cannot replace it."""
        if self.allow_run is True or os.sep in program:
            return program
        return shutil.which(program) or program

    def check_host(
        self, host: str, port: int | None = None, addresses: Sequence[str] = (), *, parameter: str | None = None
    ) -> Refusal | None:
        """Refuse private, loopback, link-local and other non-public addresses that are not allowed.

        `addresses` are those that the name was resolved to. Without them, before resolving, only names and literal
        addresses that are certainly not public are refused.
        """
        name = host_name(host)
        host = name if "xn--" in host else host  # a secret in a name is not redacted in its encoded form
        rules = [parse_host(entry) for entry in self.allow_hosts]
        if any(rule.name == name and rule.port in (None, port) for rule in rules):
            return None
        literal = _literal_address(name)
        expected = "127.0.0.1" if name.endswith(".localhost") else _KNOWN_NAMES.get(name)
        known = [literal] if literal else [_address(text) for text in addresses or ([expected] if expected else [])]
        for address in known:
            networks = (rule.network for rule in rules if rule.network is not None and rule.port in (None, port))
            if _is_public(address) or any(address in network for network in networks):
                continue
            place = f"`{host}`" if literal else f"`{host}` (at {address})"
            return Refusal(parameter, f"{place} is not a public address", AllowHost(name))
        return None


def _private(text: str, parameter: str | None) -> Refusal:
    return Refusal(parameter, f"`{text}` belongs to Orchestrator and cannot be read by a pipeline")


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _literal_address(name: str) -> Address | None:
    try:
        return _address(name)
    except ValueError:
        pass
    # The C library also accepts `127.1`, `0x7f.1` and `2130706433` as addresses, so they are treated as such.
    if name[:1].isdigit():
        try:
            return ipaddress.IPv4Address(socket.inet_aton(name))
        except OSError:
            return None
    return None


def _is_public(address: Address) -> bool:
    """Whether an address is public; for an address that embeds an IPv4 address, that one decides."""
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if embedded is None and address in _NAT64:
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if embedded is not None:
            return _is_public(embedded)
    return address.is_global and not address.is_multicast and not any(address in network for network in _SPECIAL)
