"""What tools may touch: files, commands and network addresses. Everything is denied that is not listed here."""

from __future__ import annotations

import ipaddress
import os
import shlex
import shutil
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.configuration import CONFIGURATION_FILE, Table, keys_file, read_configuration
from orchestrator.errors import ConfigurationError
from orchestrator.tools.contract import Refusal
from orchestrator.tools.paths import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_OWN_NAMES = frozenset({CONFIGURATION_FILE, ".orchestrator"})
_SETTINGS = ("paths", "run", "hosts")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA = "169.254.169.254"
_KNOWN_NAMES = {"localhost": "127.0.0.1", "metadata.google.internal": _METADATA, "instance-data": _METADATA}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the tools of a run may do.

    Files: inside `directory` (where relative paths start), `output_directory` and `allow_paths`, after every symbolic
    link is resolved. Commands: none, all (`allow_run=True`) or those named; a named command is found on this process's
    `PATH`, and what it does with its arguments is its own affair. Hosts: public addresses, and the private ones listed
    in `allow_hosts` as `host`, `host:port`, an address, or a network such as `10.0.0.0/8`.
    """

    directory: Path
    output_directory: Path | None = None
    allow_paths: tuple[Path, ...] = ()
    allow_run: bool | tuple[str, ...] = False
    allow_hosts: tuple[str, ...] = ()

    @classmethod
    def load(cls, directory: str | Path = ".") -> Permissions:
        """Read the `[allow]` table of `orchestrator.toml` in `directory`; without the file nothing is allowed.

        Raises:
            ConfigurationError: The file is not TOML, or has a setting that is unknown or of the wrong type.
        """
        return _from_table(cls(Path(directory).absolute()), read_configuration(directory).table("allow"))

    def extended(
        self,
        *,
        paths: Iterable[str | Path] = (),
        run: bool | Sequence[str] = False,
        hosts: Iterable[str] = (),
        output_directory: str | Path | None = None,
    ) -> Permissions:
        """Return these permissions with more allowed: what the options `--allow-...` mean."""
        if run is True or self.allow_run is True:
            commands: bool | tuple[str, ...] = True
        else:
            commands = (*(self.allow_run or ()), *(run or ())) or False
        added_hosts = tuple(hosts)
        for host in added_hosts:
            problem = _host_problem(host)
            if problem:
                raise ConfigurationError(f"`--allow-host {host}`: {problem}")
        return replace(
            self,
            output_directory=self.directory / output_directory if output_directory else self.output_directory,
            allow_paths=(*self.allow_paths, *(self.directory / path for path in paths)),
            allow_run=commands,
            allow_hosts=(*self.allow_hosts, *added_hosts),
        )

    @property
    def roots(self) -> tuple[Path, ...]:
        """The directories and files that may be touched, with symbolic links resolved."""
        listed = (self.directory, *((self.output_directory,) if self.output_directory else ()), *self.allow_paths)
        return tuple(Path(os.path.realpath(path)) for path in listed)

    def locate(self, path: str | Path, *, parameter: str | None = None) -> Location | Refusal:
        """Resolve every symbolic link of `path` and find the allowed directory that holds it, or refuse."""
        text = os.fspath(path)
        if "\0" in text:
            return Refusal(parameter, "the path holds a NUL character", "")
        real = Path(os.path.realpath(self.directory / text))
        if real == Path(os.path.realpath(keys_file())):
            return Refusal(parameter, f"`{text}` holds the keys of providers; no pipeline may use it", "")
        for root in self.roots:
            if real == root and not root.is_dir():
                return Location(root.parent, (root.name,), text)
            if real.is_relative_to(root):
                return Location(root, real.relative_to(root).parts, text)
        allowed = ", ".join(f"`{root}`" for root in self.roots)
        through = "" if Path(os.path.normpath(self.directory / text)) == real else f" (really `{real}`)"
        message = f"`{text}`{through} is outside of what this run may touch: {allowed}"
        return Refusal(parameter, message, f"--allow-path {shlex.quote(str(real))}")

    def check_read(self, path: str | Path, *, parameter: str | None = None) -> Refusal | None:
        """Refuse a path that leads out of the allowed directories."""
        place = self.locate(path, parameter=parameter)
        return place if isinstance(place, Refusal) else None

    def check_write(self, path: str | Path, *, parameter: str | None = None) -> Refusal | None:
        """Refuse as `check_read` does, and protect the files by which a pipeline could allow itself more."""
        place = self.locate(path, parameter=parameter)
        if isinstance(place, Refusal):
            return place
        if self._is_own(place.path) or self._is_own(Path(os.path.normpath(self.directory / place.text))):
            return Refusal(parameter, f"`{place.text}` belongs to Orchestrator; no pipeline may change it", "")
        return None

    def _is_own(self, path: Path) -> bool:
        """Whether the path is one by which a pipeline could allow itself more, or change what was recorded."""
        for home in (self.directory, Path(os.path.realpath(self.directory))):
            if path.is_relative_to(home):
                parts = path.relative_to(home).parts
                if parts and parts[0].casefold() in _OWN_NAMES:
                    return True
        return any(path.is_relative_to(os.path.realpath(self.directory / name)) for name in _OWN_NAMES)

    def check_remove(self, path: str | Path, *, parameter: str | None = None) -> Refusal | None:
        """Refuse as `check_write` does, and to remove an allowed directory itself or one that holds it."""
        refusal = self.check_write(path, parameter=parameter)
        if refusal:
            return refusal
        real = Path(os.path.realpath(self.directory / os.fspath(path)))
        if any(root.is_dir() and root.is_relative_to(real) for root in self.roots):
            return Refusal(parameter, f"`{path}` holds a directory that this run works in; it is not removed", "")
        return None

    def check_run(self, command: str | Sequence[str], *, parameter: str | None = None) -> Refusal | None:
        """Refuse a command that is not allowed. A text is a shell's, which can run anything: it needs them all."""
        if self.allow_run is True:
            return None
        if isinstance(command, str):
            return Refusal(parameter, "running a shell command is not allowed", "--allow-run")
        program = command[0] if command else ""
        if self.allow_run and program in self.allow_run:
            return None
        named = f"; allowed are {', '.join(f'`{name}`' for name in self.allow_run)}" if self.allow_run else ""
        return Refusal(parameter, f"running `{program}` is not allowed{named}", "--allow-run")

    def find_program(self, program: str) -> str:
        """Return the file to execute for `program`, so that a step's `env` or `cwd` cannot put another in its place."""
        if self.allow_run is True or os.sep in program:
            return program
        return shutil.which(program) or program

    def check_host(
        self, host: str, port: int | None = None, addresses: Sequence[str] = (), *, parameter: str | None = None
    ) -> Refusal | None:
        """Refuse private, loopback, link-local and other non-public addresses that are not allowed.

        `addresses` are those that the name was resolved to. Without them (before anything is resolved) only names and
        literal addresses that are certainly not public are refused.
        """
        name = host.strip("[]").rstrip(".").lower()
        rules = [_parse_host(entry) for entry in self.allow_hosts]
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
            return Refusal(parameter, f"{place} is not a public address", f"--allow-host {name}")
        return None


@dataclass(frozen=True, slots=True)
class _HostRule:
    name: str
    port: int | None = None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None


def _parse_host(entry: str) -> _HostRule:
    text = entry.strip().lower()
    port: int | None = None
    if text.startswith("["):
        text, _, rest = text[1:].partition("]")
        port = int(rest[1:]) if rest.startswith(":") else None
    elif text.count(":") == 1:
        text, _, digits = text.partition(":")
        port = int(digits)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        if "/" in text:
            raise
        network = None
    return _HostRule(text.rstrip("."), port, network)


def _host_problem(entry: str) -> str | None:
    """Say what is wrong with an entry of `hosts`, if anything."""
    try:
        rule = _parse_host(entry)
    except ValueError:
        return "it is no host, `host:port`, address or network such as `10.0.0.0/8`"
    if not rule.name or "//" in entry or rule.name.count("*"):
        return "it is no host; write the name alone, without `http://` and without `*`"
    return None


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _literal_address(name: str) -> Address | None:
    try:
        return _address(name)
    except ValueError:
        pass
    # The C library also takes `127.1`, `0x7f.1` and `2130706433` for addresses, so they are judged as such.
    if name[:1].isdigit():
        try:
            return ipaddress.IPv4Address(socket.inet_aton(name))
        except OSError:
            return None
    return None


def _is_public(address: Address) -> bool:
    """Whether the address is of the public internet; addresses that embed an IPv4 address are judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if embedded is None and address in _NAT64:
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if embedded is not None:
            return _is_public(embedded)
    return address.is_global and not address.is_multicast


def _from_table(base: Permissions, table: Table) -> Permissions:
    table.only(_SETTINGS)
    hosts = table.texts("hosts")
    for host in hosts:
        problem = _host_problem(host)
        if problem:
            raise table.wrong(f"`{table.path('hosts')}`: `{host}`: {problem}", "write for example `db.internal:5432`")
    run = table.values.get("run", False)
    if not isinstance(run, bool):
        run = table.texts("run", "true, false or a list of commands")
    return base.extended(paths=table.texts("paths"), run=run, hosts=hosts)
