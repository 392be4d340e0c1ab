"""Builds `llama-server` from the sources inside the source package of `llama-cpp-python`: a real engine for the suite.

About twenty minutes on one core, once for a machine: it is kept outside of the repository. Needs a C++ compiler.
Run it as `python -m tests.inference.build_server`; with `--check` it only says whether the server is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "llama-cpp-python"
VERSION = "0.3.36"
OPTIONS = {
    # Compiling is what takes long here, not computing.
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_C_FLAGS_RELEASE": "-O1 -DNDEBUG",
    "CMAKE_CXX_FLAGS_RELEASE": "-O1 -DNDEBUG",
    "BUILD_SHARED_LIBS": "OFF",
    # What was built on one machine runs on the next.
    "GGML_NATIVE": "OFF",
    "GGML_OPENMP": "OFF",
    "GGML_LLAMAFILE": "OFF",
    "GGML_CCACHE": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    # It would be fetched from the network.
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_APP": "OFF",
}


def folder() -> Path:
    """Return where the server is kept; ORCHESTRATOR_INFERENCE names another place."""
    named = os.environ.get("ORCHESTRATOR_INFERENCE")
    return Path(named) if named else Path.home() / ".cache" / "orchestrator-inference"


def server() -> Path:
    """Return the program, which is there once it was built."""
    return folder() / f"llama-server-{VERSION}"


def build() -> Path:
    """Build the server if it is not there, with as many jobs as CMAKE_BUILD_PARALLEL_LEVEL says, else one."""
    program = server()
    if program.exists():
        return program
    made = folder() / f"build-{VERSION}"
    made.mkdir(parents=True, exist_ok=True)
    sources = _sources(made)
    cmake = _tool("cmake")
    generator = ["-G", "Ninja"] if shutil.which("ninja", path=_path()) else []
    options = [f"-D{key}={value}" for key, value in OPTIONS.items()]
    environment = {"CMAKE_BUILD_PARALLEL_LEVEL": "1", **os.environ, "PATH": _path()}
    _run([cmake, "-S", str(sources), "-B", str(made / "build"), *generator, *options], environment)
    _run([cmake, "--build", str(made / "build"), "--target", "llama-server"], environment)
    built = made / "build" / "bin" / "llama-server"
    _run(["strip", str(built)], environment)
    # Whoever finds the program finds the whole of it.
    built.replace(program)
    shutil.rmtree(made)
    return program


def _sources(made: Path) -> Path:
    """Return the sources, fetched by pip from wherever it fetches packages."""
    found = list(made.glob("sources/*/vendor/llama.cpp"))
    if found:
        return found[0]
    with tempfile.TemporaryDirectory(dir=made) as fetched:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run([*command, "--no-binary", PACKAGE, "--dest", fetched, f"{PACKAGE}=={VERSION}"], dict(os.environ))
        (archive,) = Path(fetched).glob("*.tar.gz")
        unpacked = Path(fetched) / "sources"
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, filter="data")
        unpacked.replace(made / "sources")
    return next(made.glob("sources/*/vendor/llama.cpp"))


def _tool(name: str) -> str:
    found = shutil.which(name, path=_path())
    if found is None:
        raise SystemExit(f"{name} is needed to build llama-server; it is in the dependency group `inference`")
    return found


def _path() -> str:
    """Return where tools are looked for: beside this Python first, where packages put theirs."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(not server().exists())
    print(build())
