"""The task runner: versions it accepts, messages, stamps and locks. Nothing is installed or built here."""

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

DEV = Path(__file__).resolve().parent.parent / "dev"
ENVIRONMENT = DEV.parent / ".ci" / "environment.py"
GCC = "{} (Debian 12.2.0-14+deb12u1) {}.2.0\nCopyright (C) 2022 Free Software Foundation, Inc."
CLANG = "Debian clang version {}.0.6\nTarget: x86_64-pc-linux-gnu"


def load(name: str, path: Path) -> ModuleType:
    """A fresh module from a file, whatever its suffix."""
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What ./dev works with, its build folder moved to tmp_path."""
    module = load("environment", ENVIRONMENT)
    module.BUILD = tmp_path / "build"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "environment", module)
    return module


@pytest.fixture
def dev(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The commands of ./dev, on that environment."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return load("dev_under_test", DEV)


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GCC.format("g++", 12), ("gcc", 12)),
        (GCC.format("c++", 9), ("gcc", 9)),
        (GCC.format("x86_64-linux-gnu-g++-13", 13), ("gcc", 13)),
        (CLANG.format(15), ("clang", 15)),
        ("Apple clang version 16.0.0 (clang-1600.0.26.6)", ("clang", 16)),
        ("icpc (ICC) 2021.10.0", None),
        ("", None),
    ],
)
def test_compiler_version_is_read(environment: ModuleType, text: str, expected: object) -> None:
    assert environment.compiler_version(text) == expected


def test_first_compiler_new_enough_is_taken(environment: ModuleType, tmp_path: Path) -> None:
    old = script(tmp_path / "g++", f"echo '{GCC.format('g++', 11)}'")
    new = script(tmp_path / "clang++", f"echo '{CLANG.format(15)}'")
    assert environment.find_compiler([str(tmp_path / "absent"), old, new]) == new


def test_old_compiler_is_named(environment: ModuleType, tmp_path: Path) -> None:
    old = script(tmp_path / "g++", f"echo '{GCC.format('g++', 11)}'")
    with pytest.raises(
        environment.DevError, match=r"GCC >= 12 or clang >= 15 is needed, .*g\+\+ is gcc 11 .*apt-get install"
    ):
        environment.find_compiler([old])


def test_missing_compiler_is_named(environment: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(environment.DevError, match=r"is needed, none was found \(looked for .*absent\)"):
        environment.find_compiler([str(tmp_path / "absent")])


def test_sanitize_needs_gcc(dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", script(tmp_path / "clang++", f"echo '{CLANG.format(16)}'"))
    with pytest.raises(dev.DevError, match=r"sanitize needs the sanitizer libraries of GCC, found .*clang"):
        dev.sanitize([])


def test_each_compiler_has_its_own_objects(
    environment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = set()
    for number in (12, 13):
        monkeypatch.setenv("CXX", script(tmp_path / "g++", f"echo '{GCC.format('g++', number)}'"))
        folders.add(environment.objects_folder("cp311"))
    assert len(folders) == 2


def test_missing_venv_module_is_named(environment: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(
        environment.DevError, match="has no venv module; on Debian or Ubuntu: apt-get install python3-venv"
    ):
        environment.make_venv(tmp_path / "venv", script(tmp_path / "python", "exit 1"))


def test_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 7, 17, "final", 0))
    with pytest.raises(SystemExit, match=r"dev: Python 3\.8 or newer is needed, this is 3\.7"):
        exec(compile(DEV.read_text(encoding="utf-8"), str(DEV), "exec"), {"__name__": "dev"})


def test_failing_command_gives_its_exit_code(environment: ModuleType, capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(environment.DevError, match="exit code 3 from: sh -c"):
        environment.run("sh", "-c", "exit 3", env={"A": "b c"})
    assert "$ A='b c' sh -c 'exit 3'" in capfd.readouterr().out


def test_stamp_holds_until_its_key_changes(environment: ModuleType, tmp_path: Path) -> None:
    assert not environment.stamped(tmp_path, "project", "key")
    (tmp_path / ".stamp-project").write_text("key")
    assert environment.stamped(tmp_path, "project", "key")
    assert not environment.stamped(tmp_path, "project", "other")


def test_digest_follows_names_and_contents(environment: ModuleType, tmp_path: Path) -> None:
    environment.ROOT = tmp_path  # type: ignore[attr-defined]
    folder = tmp_path / "cpp"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "a.cpp").write_text("int a;")
    first = environment.digest([folder], "gcc")
    (folder / "__pycache__" / "a.pyc").write_text("left out")
    assert environment.digest([folder], "gcc") == first
    assert environment.digest([folder], "clang") != first
    (folder / "a.cpp").rename(folder / "b.cpp")
    assert environment.digest([folder], "gcc") != first


def test_second_process_waits_for_the_lock(environment: ModuleType) -> None:
    code = (
        "import pathlib, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import environment\n"
        "environment.BUILD = pathlib.Path(sys.argv[2])\n"
        "with environment.locked('setup'): print('entered')\n"
    )
    with environment.locked("setup"):
        command = [sys.executable, "-c", code, str(ENVIRONMENT.parent), str(environment.BUILD)]
        other = subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True)
        assert other.stdout is not None
        first = other.stdout.readline()
    rest, _ = other.communicate(timeout=60)
    assert first == "dev: another ./dev holds build/setup.lock; waiting for it\n"
    assert rest == "entered\n"


def test_sdist_with_build_output_is_refused(dev: ModuleType) -> None:
    good = ["pyproject.toml", "README.md", "LICENSE", "constraints.txt", "dev", "cpp/a.cpp", "planner/p", "tests/t"]
    dev.check_sdist([f"popsparse_py-0.1.0/{name}" for name in good])
    with pytest.raises(dev.DevError, match=r"lacks \['tests/'\] and holds build output \['build/a\.o'\]"):
        dev.check_sdist([f"popsparse_py-0.1.0/{name}" for name in [*good[:-1], "build/a.o"]])


def test_missing_python38_is_said(dev: ModuleType, capsys: pytest.CaptureFixture) -> None:
    dev.find_python38 = lambda: None  # type: ignore[attr-defined]
    dev.py38([])
    assert "py38 NOT RUN: no python3.8 on the PATH" in capsys.readouterr().out


def test_ci_names_the_failing_step(dev: ModuleType, capsys: pytest.CaptureFixture) -> None:
    def lint(arguments: object) -> None:
        """fails"""
        raise dev.DevError("exit code 1 from: ruff")

    def types(arguments: object) -> None:
        """passes"""

    dev.COMMANDS.update(lint=lint, types=types)
    assert dev.main(["ci", "lint", "types"]) == 1
    captured = capsys.readouterr()
    assert "failed steps: lint" in captured.err
    assert [line.split()[-1] for line in captured.out.splitlines()[-3:-1]] == ["FAILED", "ok"]


def test_help_names_every_command() -> None:
    text = subprocess.run([sys.executable, str(DEV), "--help"], stdout=subprocess.PIPE, check=True).stdout.decode()
    for name in ("demo", "test", "lint", "types", "sanitize", "bench", "wheel", "py38", "ci"):
        assert f"  {name} " in text
    assert os.access(DEV, os.X_OK)
