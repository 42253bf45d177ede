"""Compilers for the codelet tests: small programs are compiled with g++ and, where one is installed, with clang."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Sequence, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
CPP = ROOT / "cpp"
SOURCES = Path(__file__).resolve().parent / "sources"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Werror")
OLDEST = {"gcc": 12, "clang": 15}  # the first with _Float16 on x86-64 in C++
COMMANDS = {
    "gcc": ("g++", "g++-15", "g++-14", "g++-13", "g++-12"),
    "clang": ("clang++", *(f"clang++-{version}" for version in range(22, 14, -1))),
}


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler: `command` as typed, `family` "gcc" or "clang"."""

    command: str
    family: str

    def flags(self, standard: int, shim: Path = CPP / "shim") -> Tuple[str, ...]:
        """The flags that every host build of a codelet uses, warnings as errors included."""
        quiet = "-Wno-attributes=poplar::" if self.family == "gcc" else "-Wno-unknown-attributes"
        include = (f"-I{shim}", f"-I{CPP / 'model'}", f"-I{CPP / 'codelets'}")
        return (f"-std=c++{standard}", *WARNINGS, quiet, "-ffp-contract=off", *include)

    def run(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """The finished compiler call; output and errors are text."""
        command = [self.command, *(str(argument) for argument in arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def find_compiler(family: str) -> Optional[Compiler]:
    """The first compiler of a family that is new enough, None if none is installed."""
    for command in COMMANDS[family]:
        if shutil.which(command) is None:
            continue
        text = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"clang version (\d+)" if family == "clang" else r"\) (\d+)\.", text)
        if version and ("clang" in text) == (family == "clang") and int(version.group(1)) >= OLDEST[family]:
            return Compiler(command, family)
    return None


@pytest.fixture(scope="session", params=sorted(OLDEST))
def compiler(request: pytest.FixtureRequest) -> Compiler:
    """Each family in turn; skips the one that is not installed."""
    found = find_compiler(request.param)
    if found is None:
        pytest.skip(f"no {request.param} compiler of version {OLDEST[request.param]} or later is installed")
    return found


@pytest.fixture(scope="session")
def any_compiler() -> Compiler:
    """One compiler, for tests where a second would show nothing new."""
    found = find_compiler("gcc") or find_compiler("clang")
    if found is None:
        pytest.skip("no C++ compiler with _Float16 is installed (GCC 12 or clang 15 is needed)")
    return found


Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """build(compiler, sources, *flags): the program linked from .cpp files, warnings as errors."""

    def link(compiler: Compiler, sources: Sequence[Path], *flags: str) -> Path:
        program = tmp_path_factory.mktemp("program") / "program"
        done = compiler.run(*compiler.flags(17), *flags, *sources, "-o", program)
        assert done.returncode == 0, done.stderr
        return program

    return link


def output_of(program: Path, *arguments: str) -> str:
    """What a program prints; fails with its messages if it does not end well."""
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def execute() -> Callable[..., str]:
    """execute(program, *arguments): its output."""
    return output_of


@pytest.fixture(scope="session")
def cpp_folder() -> Path:
    """The C++ sources of the project."""
    return CPP


@pytest.fixture(scope="session")
def source_folder() -> Path:
    """The C++ sources of these tests."""
    return SOURCES
