"""The README's Python blocks are run as they stand, one after the other; its commands exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def blocks(language: str) -> list:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run_blocks(sources: list, names: dict) -> None:
    for block in sources:
        exec(compile(block, "README.md, a Python block", "exec"), names)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("popsparse_py._core", reason="the native core is not built")
    monkeypatch.chdir(tmp_path)


def test_python_blocks_run() -> None:
    plain = [block for block in blocks("python") if "import torch" not in block]
    assert plain, "the README shows no Python"
    run_blocks(plain, {"__name__": "readme"})


def test_torch_blocks_run() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    found = [block for block in blocks("python") if "import torch" in block]
    assert found, "the README shows no layers"
    run_blocks(found, {"__name__": "readme", "ps": import_module("popsparse_py")})


def test_dev_commands_named_exist() -> None:
    text = README.read_text(encoding="utf-8")
    known = set(re.findall(r"^def (\w+)\(arguments", (ROOT / "dev").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\./dev (\w+)", text))
    assert {"demo", "test"} <= named, "the README must name the two set-up commands"
    assert named <= known
