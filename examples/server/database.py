"""A PostgreSQL for this project alone: its data in one directory, its socket in another, and no port.

python database.py DATA RUN
"""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path


def main(data: Path, run: Path) -> None:
    """Create the database if there is none, and become its server."""
    initdb = program("initdb")
    become_ordinary(data, run)
    if not (data / "PG_VERSION").exists():
        words = [
            "-D",
            str(data),
            "-U",
            "orchestrator",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]  # only this user reaches the socket
        subprocess.run([initdb, *words], check=True, stdout=subprocess.DEVNULL, cwd=data)
    server = str(Path(initdb).with_name("postgres"))
    os.chdir(data)
    os.execv(server, [server, "-D", str(data), "-k", str(run), "-c", "listen_addresses="])


def program(name: str) -> str:
    """Return a program of PostgreSQL, wherever the system has put it."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(newest[-1]) if newest else shutil.which(name)
    if found is None:
        sys.exit("no PostgreSQL is installed: apt-get install postgresql, or leave it out with --without database")
    return found


def become_ordinary(*directories: Path) -> None:
    """PostgreSQL refuses to run as root: continue as its own user."""
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        for directory in directories:
            os.chown(directory, user.pw_uid, user.pw_gid)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
