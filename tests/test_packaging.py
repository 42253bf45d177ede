"""pyproject.toml and constraints.txt agree: one version for each package on each Python."""

import re
import sys
from pathlib import Path
from typing import Dict, List

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

requirements = pytest.importorskip("packaging.requirements")

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wanted() -> List[str]:
    project = pyproject()["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [*project["dependencies"], *extras, *pyproject()["build-system"]["requires"]]


def applies(requirement: object, python: str) -> bool:
    marker = requirement.marker  # type: ignore[attr-defined]
    return marker is None or marker.evaluate({"python_version": python, "python_full_version": f"{python}.0"})


def pinned(python: str) -> Dict[str, List[str]]:
    """Package -> versions that constraints.txt gives it on one Python."""
    versions: Dict[str, List[str]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = requirements.Requirement(line)
            if applies(requirement, python):
                (specifier,) = requirement.specifier
                versions.setdefault(requirement.name, []).append(specifier.version)
    return versions


@pytest.mark.parametrize("python", PYTHONS)
def test_each_requirement_is_pinned_once(python: str) -> None:
    versions = pinned(python)
    for line in wanted():
        requirement = requirements.Requirement(line)
        if requirement.name == "torch" and python in ("3.8", "3.9"):
            continue  # the project's torch parts need Python 3.10
        if applies(requirement, python):
            found = versions.get(requirement.name, [])
            assert len(found) == 1, f"{requirement.name} on Python {python}: {found}"
            assert requirement.specifier.contains(found[0]), f"{line} against {found[0]} on Python {python}"


def test_no_graphcore_name_is_a_dependency() -> None:
    """On PyPI these names are absent or belong to unrelated projects."""
    names = {re.split(r"[^\w-]", line)[0].lower() for line in wanted()}
    assert not names & {"poptorch", "popart", "poplar", "poplibs"}


def test_installed_version_is_the_declared_one() -> None:
    metadata = pytest.importorskip("importlib.metadata")
    try:
        installed = metadata.version("popsparse_py")
    except metadata.PackageNotFoundError:
        pytest.skip("popsparse_py is not installed: planner tests from the bare checkout")
    assert installed == pyproject()["project"]["version"]
