"""`popsparse doctor`: what is available on this machine, why the rest is not, and what to do about it.

Imports nothing of the project when it is loaded, so that it answers on a broken installation too.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Callable, Dict, List, Optional

from rich.table import Table
from rich.text import Text

from .failures import one_line
from .output import Output, new_table
from .requests import DoctorRequest

OK, ABSENT, PROBLEM = "ok", "absent", "problem"
_STYLES = {OK: "green", ABSENT: "yellow", PROBLEM: "bold red"}

_REQUIRED = ("numpy", "rich", "typer", "safetensors")
_OPTIONAL = {"scipy": "conversions from and to scipy.sparse", "torch": "conversions from and to torch tensors"}
_GRAPHCORE = ("poplar", "popart", "poptorch")  # modules of the Poplar SDK; on PyPI such names belong to other projects


@dataclass(frozen=True)
class Check:
    """One line: what was looked for, how it stands (ok, absent: optional, or problem), and what was found or to do."""

    name: str
    status: str
    found: str


def execute(request: DoctorRequest) -> int:
    """Prints every check; 0, or with strict 1 if one is a problem."""
    output = Output(as_json=request.as_json, quiet=request.quiet)
    with output.progress("looking around"):
        checks = all_checks()
    problems = [check.name for check in checks if check.status == PROBLEM]
    absent = [check.name for check in checks if check.status == ABSENT]
    verdict = f"problems: {', '.join(problems)}" if problems else "ready: everything that is required is there"
    if absent:
        verdict += f"; not there: {', '.join(absent)}"
    fields = {"schema": "popsparse.cli.doctor/1", "ok": not problems, "checks": [asdict(check) for check in checks]}
    output.show(verdict, fields, _table(checks))
    return 1 if problems and request.strict else 0


def all_checks() -> List[Check]:
    """Every check, in the order in which a reader needs them."""
    checks = [Check("Python", OK, f"{platform.python_version()} at {sys.executable}")]
    checks += [_package(name, "pip install popsparse_py brings it", PROBLEM) for name in _REQUIRED]
    checks += [_guarded("native core", _native_core), _guarded("demo weight", _demo_weight)]
    checks += [_guarded("chips", _chips), *_backends()]
    checks += [
        _package(name, f"needed for {purpose}: pip install {name}", ABSENT) for name, purpose in _OPTIONAL.items()
    ]
    return [*checks, _poplar_sdk(), *unrelated_packages()]


def _package(name: str, advice: str, otherwise: str) -> Check:
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        return Check(name, otherwise, f"{one_line(error)}; {advice}")
    except Exception as error:  # a broken package may raise anything when it is imported
        return Check(name, PROBLEM, f"cannot be imported: {type(error).__name__}: {one_line(error)}")
    return Check(name, OK, metadata.version(name))


def _guarded(name: str, look: Callable[[], str]) -> Check:
    """What `look` finds, or a problem with the text of whatever it raises."""
    try:
        return Check(name, OK, look())
    except Exception as error:
        return Check(name, PROBLEM, f"{type(error).__name__}: {one_line(error)}")


def _native_core() -> str:
    core = import_module("popsparse_py._core")
    return f"{len(core.vertex_names())} vertices, {core.__file__}"


def _demo_weight() -> str:
    path = import_module("popsparse_py.data").demo_weight_path()
    return f"{path} ({path.stat().st_size:,} bytes)"


def _chips() -> str:
    target = import_module("popsparse_planner.target")
    loaded = [target.load_target(name) for name in target.target_names()]
    return ", ".join(f"{one.name} ({one.tiles:,} tiles at {one.clock_hz / 1e9:g} GHz)" for one in loaded)


def _backends() -> List[Check]:
    """One check per backend; what is unavailable is absent, not a problem: nothing depends on it in silence."""
    try:
        reasons: Dict[str, Optional[str]] = import_module("popsparse_py.ops").targets()
    except Exception as error:
        return [Check("backends", PROBLEM, f"{type(error).__name__}: {one_line(error)}")]
    return [
        Check(f"backend {name}", OK if reason is None else ABSENT, "available" if reason is None else reason)
        for name, reason in reasons.items()
    ]


def _poplar_sdk() -> Check:
    """Whether an SDK is enabled here. The project does not use one yet, and has never been run on an IPU."""
    folder, compiler = os.environ.get("POPLAR_SDK_ENABLED"), shutil.which("popc")
    if not folder:
        return Check(
            "Poplar SDK",
            ABSENT,
            "POPLAR_SDK_ENABLED is not set; enable an SDK with: source <sdk>/enable. Not needed: products run on the "
            "embedded model",
        )
    if not Path(folder).is_dir():
        return Check("Poplar SDK", PROBLEM, f"POPLAR_SDK_ENABLED names {folder}, which is no folder")
    return Check("Poplar SDK", OK, f"{folder}, popc {compiler or 'not on the PATH'}; this version does not use it")


def unrelated_packages() -> List[Check]:
    """A problem for each installed distribution that only shares its name with a part of the Poplar SDK."""
    checks = []
    for name in _GRAPHCORE:
        for found in metadata.distributions(name=name):
            notes = found.metadata
            named = ("Author", "Author-email", "Home-page", "Summary", "License")
            text = " ".join(str(notes[key]) for key in named if key in notes)
            if "graphcore" not in text.lower():
                checks.append(
                    Check(
                        f"package {name}",
                        PROBLEM,
                        f"{name} {found.version} from PyPI is not Graphcore's (the SDK brings its own, which this one "
                        f"hides): pip uninstall {name}",
                    )
                )
    return checks


def _table(checks: List[Check]) -> Table:
    table = new_table("", "what", "status", "found")
    for check in checks:
        table.add_row(check.name, Text(check.status, style=_STYLES[check.status]), Text(check.found))
    return table
