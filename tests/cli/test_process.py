"""The command line as a process of its own: what it imports, what it shows on a terminal, how it stops."""

import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

COMMAND = [sys.executable, "-m", "popsparse_py.cli"]
PLAN = ("plan", "-m", "256", "-k", "256", "-n", "32", "-d", "1/4")


def test_help_brings_no_library_along(environment: Dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], "--help"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "typer" in imported
    assert not {"numpy", "popsparse_planner", "popsparse_py._core", "torch", "scipy", "safetensors"} & imported
    for name in ("plan", "run", "doctor", "Exit codes", "has ever run on an IPU"):
        assert name in done.stdout


def test_import_of_the_package_brings_nothing_along(environment: Dict[str, str], tmp_path: Path) -> None:
    code = "import sys, popsparse_py; print(sorted({'numpy', 'popsparse_planner', 'typer'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_version_is_one_line(environment: Dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--version"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("popsparse")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(("extra", "shown"), [((), True), (("--quiet",), False), (("--json",), False)])
def test_progress_is_shown_on_a_terminal_only(
    environment: Dict[str, str], tmp_path: Path, extra: tuple, shown: bool
) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *PLAN, *extra], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        out = process.stdout.read().decode()  # type: ignore[union-attr]
        err = read_all(ours)
    assert process.returncode == 0, err
    assert ("planning" in err) is shown
    assert "\x1b" not in out


def read_all(descriptor: int) -> str:
    """Everything that was written to a terminal whose other end is closed."""
    found = b""
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        while True:
            try:
                piece = stream.read(4096)
            except OSError:  # how Linux tells that the other end is closed
                break
            if not piece:
                break
            found += piece
    return found.decode()


@contextmanager
def heeding_interrupts() -> Iterator[None]:
    """Children started here heed SIGINT even where this process was told to ignore it (as background jobs are)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_leaves_nothing_behind(environment: Dict[str, str], tmp_path: Path) -> None:
    pipe = tmp_path / "mask.npz"
    os.mkfifo(pipe)
    command = [*COMMAND, "plan", "--mask", "mask.npz", "-n", "32"]
    with heeding_interrupts():
        process: Any = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE)
    with open(pipe, "wb"):  # returns when the command has opened its end, and waits there for bytes
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"popsparse: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mask.npz"]
