"""The README's Python blocks are run as they stand, one after the other; its commands exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def blocks(language: str) -> list:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("popsparse_py._core", reason="the native core is not built")
    monkeypatch.chdir(tmp_path)
    python = blocks("python")
    assert python, "the README shows no Python"
    names: dict = {"__name__": "readme"}
    for number, block in enumerate(python, 1):
        exec(compile(block, f"README.md, Python block {number}", "exec"), names)


def test_dev_commands_named_exist() -> None:
    text = README.read_text(encoding="utf-8")
    known = set(re.findall(r"^def (\w+)\(arguments", (ROOT / "dev").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\./dev (\w+)", text))
    assert {"demo", "test"} <= named, "the README must name the two set-up commands"
    assert named <= known
