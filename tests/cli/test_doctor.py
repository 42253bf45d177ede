"""`popsparse doctor`: what it looks for, and how it says what is missing or in the way."""

import sys
from pathlib import Path
from typing import Any

import pytest

from popsparse_py.cli import doctor_command
from popsparse_py.cli.doctor_command import ABSENT, OK, PROBLEM, Check


def named(checks: list, name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_every_part_is_looked_for(popsparse: Any) -> None:
    done = popsparse("doctor", "--json")
    assert done.code == 0
    names = [check["name"] for check in done.fields["checks"]]
    for name in ("Python", "numpy", "native core", "chips", "backend ipu_model", "scipy", "torch", "Poplar SDK"):
        assert name in names
    assert done.fields["schema"] == "popsparse.cli.doctor/1"


def test_table_and_verdict(popsparse: Any) -> None:
    done = popsparse("doctor")
    assert done.code == 0
    assert "bow (1,472 tiles at 1.85 GHz)" in done.out
    assert len(popsparse("doctor", "--quiet").out.splitlines()) == 1


def test_missing_sdk_is_absent_not_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POPLAR_SDK_ENABLED", raising=False)
    check = named(doctor_command.all_checks(), "Poplar SDK")
    assert check.status == ABSENT
    assert "POPLAR_SDK_ENABLED is not set; enable an SDK with: source <sdk>/enable" in check.found


def test_sdk_folder_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POPLAR_SDK_ENABLED", str(tmp_path))
    check = named(doctor_command.all_checks(), "Poplar SDK")
    assert (check.status, "this version does not use it" in check.found) == (OK, True)
    monkeypatch.setenv("POPLAR_SDK_ENABLED", str(tmp_path / "gone"))
    check = named(doctor_command.all_checks(), "Poplar SDK")
    assert (check.status, check.found.endswith("gone, which is no folder")) == (PROBLEM, True)


@pytest.mark.parametrize("name", ["popart", "poplar", "poptorch"])
def test_packages_that_share_a_name_are_told(
    popsparse: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    assert doctor_command.unrelated_packages() == []
    folder = tmp_path / f"{name}-0.1.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.1\nAuthor: Somebody\n")
    monkeypatch.syspath_prepend(tmp_path)
    (check,) = doctor_command.unrelated_packages()
    assert check.status == PROBLEM
    assert check.found.startswith(f"{name} 0.1.1 from PyPI is not Graphcore's (the SDK brings its own")
    assert check.found.endswith(f"pip uninstall {name}")
    assert popsparse("doctor").code == 0
    strict = popsparse("doctor", "--strict", "--quiet")
    assert strict.code == 1
    assert strict.out.startswith("problems: ")
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.4\nAuthor: Graphcore Ltd\n")
    assert doctor_command.unrelated_packages() == []


def test_optional_package_that_is_not_there_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    check = named(doctor_command.all_checks(), "scipy")
    assert check.status == ABSENT
    assert "needed for conversions from and to scipy.sparse: pip install scipy" in check.found


def test_required_package_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    check = named(doctor_command.all_checks(), "safetensors")
    assert check.status == PROBLEM
    assert "pip install popsparse_py brings it" in check.found


def test_broken_package_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "scipy.py").write_text("raise AssertionError('built for another torch')\n")
    monkeypatch.delitem(sys.modules, "scipy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    check = named(doctor_command.all_checks(), "scipy")
    monkeypatch.undo()
    assert (check.status, check.found) == (PROBLEM, "cannot be imported: AssertionError: built for another torch")


def test_missing_core_and_backends_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "popsparse_py._core", None)
    checks = doctor_command.all_checks()
    assert named(checks, "native core").status == PROBLEM
    backend = named(checks, "backend ipu_model")
    assert (backend.status, "the compiled core is missing" in backend.found) == (ABSENT, True)
    monkeypatch.setitem(sys.modules, "popsparse_py.ops", None)
    assert named(doctor_command.all_checks(), "backends").status == PROBLEM
