"""Says whether the built page is older than its sources, by a digest of the sources that the build contains.

python web/digest.py           exits with 1 if the built page is out of date
python web/digest.py --write   records the digest of the sources, after a build
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

WEB = Path(__file__).resolve().parent
RECORD = WEB.parent / "src" / "orchestrator" / "server" / "page" / "sources.sha256"

GENERATED = WEB / "src" / "api" / "schema.d.ts"
"""The types of the API: they are checked when the page is built, and do not change what is built."""


def sources() -> Iterator[Path]:
    """Yield the files that the page is built from, in a fixed order."""
    for name in ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"):
        yield WEB / name
    yield from sorted(path for path in (WEB / "src").rglob("*") if path.is_file() and path != GENERATED)


def digest() -> str:
    """Return the digest of the names and contents of all sources."""
    found = hashlib.sha256()
    for path in sources():
        content = path.read_bytes()
        found.update(f"{path.relative_to(WEB).as_posix()} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def main() -> int:
    """Check the record, or write it."""
    current = digest() + "\n"
    if "--write" in sys.argv[1:]:
        RECORD.write_text(current, encoding="ascii")
        return 0
    if RECORD.exists() and RECORD.read_text(encoding="ascii") == current:
        return 0
    print("the built page is older than its sources in web/: run `make web`, and commit what it writes")
    return 1


if __name__ == "__main__":
    sys.exit(main())
