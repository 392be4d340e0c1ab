"""YAML events from libyaml if PyYAML was built with it, else from PyYAML's parser, which is made to read the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable


class EventParser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """PyYAML's parser, which accepts a `?` inside a word in braces, as libyaml does: `{n: number?}`."""

    def __init__(self, text: str) -> None:
        self._in_word = False
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)

    def scan_plain(self) -> Any:
        """Read an unquoted scalar."""
        self._in_word = True
        try:
            return super().scan_plain()
        finally:
            self._in_word = False

    def scan_flow_scalar(self, style: str) -> Any:
        """Read a quoted scalar. An escape beyond Unicode is a scanner error, as in libyaml."""
        start = self.get_mark()
        try:
            return super().scan_flow_scalar(style)
        except (ValueError, OverflowError) as error:
            what = "found an invalid Unicode character escape code"
            raise yaml.scanner.ScannerError("while scanning a quoted scalar", start, what, self.get_mark()) from error

    def peek(self, index: int = 0) -> str:
        """Return a character ahead; inside a word, `?` counts as a letter."""
        found: str = super().peek(index)
        return "x" if self._in_word and found == "?" else found


def parse_events(text: str) -> Callable[[], Any]:
    """Return a function that returns the next event, and None at the end."""
    parser = yaml.cyaml.CParser(text) if yaml.__with_libyaml__ else EventParser(text)  # type: ignore[attr-defined]  # the stubs leave it out
    get: Callable[[], Any] = parser.get_event
    return get
