"""The project's own rules, read from its files: who may import whom, sizes, and words that do not belong."""

import ast
import re
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (".ci", "cpp", "notebooks", "planner", "popsparse_py", "tests")
TOP_LEVEL = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "dev", *FOLDERS}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# Rows stand on those above them and on the same row; a name is a module or a package with all that is in it.
PLANNER_ORDER = (
    ("errors",),
    ("json_data", "explain", "explain_dynamic", "measured", "ideas"),
    ("target",),
    ("pattern", "pattern_kinds", "benchmark_pattern"),
    ("problem",),
    ("codelet_cycles", "dynamic_codelet_cycles", "bucket_cycles"),
    ("layout", "bucket_layout", "partition", "memory", "cost"),
    ("plan", "work"),
    ("static", "dynamic", "dense", "dense_cost", "dense_search", "dense_fit"),
    ("cpu_profile",),
    ("cpu_schedule",),
    ("cpu_plan",),
    ("cuda_machine", "cuda_profile", "cuda_tiles"),
    ("cuda_streams", "cuda_vectors", "cuda_decode", "cuda_decode_vectors", "cuda_sampled"),
    ("cuda_dynamic", "cuda_dynamic_sampled"),
    ("cuda_cost", "cuda_plan", "cuda_dynamic_plan"),
    ("dynamic_plan",),
    ("search", "dynamic_search"),
    ("static_fit", "dynamic_fit"),
    ("validation",),
    ("report",),
)
RUNTIME_ORDER = (
    ("_core", "data"),
    ("formats",),
    ("ipu.control", "ipu.program"),
    ("ipu",),
    ("backends.base", "backends.host_arrays"),
    ("backends",),
    ("host", "tuning_cache", "tuning"),
    ("plans", "dynamic_ops", "ops"),
    ("layer_plans",),
    ("torch_ops",),
    ("nn",),
    ("sparsify", "training", "compat"),
    ("poptorch",),
    ("sweep",),
    ("bench", "cli"),
)


def files(*suffixes: str) -> Iterator[Path]:
    """Source files under FOLDERS, and dev and the files of the top level, that end in one of suffixes."""
    candidates = [path for path in ROOT.iterdir() if path.name in TOP_LEVEL and path.is_file()]
    for folder in FOLDERS:
        candidates += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(candidates):
        if "__pycache__" not in path.parts and (path.name.endswith(suffixes) or path.name in ("dev", "run")):
            yield path


def imported(path: Path, package_root: Path) -> Iterator[Tuple[int, str]]:
    """(line, absolute dotted name) of each import in a file; relative ones are resolved against package_root."""
    package = list(path.relative_to(package_root).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def rank(name: str, order: Tuple[Tuple[str, ...], ...]) -> int:
    """Row of the longest prefix of a dotted name that order lists, -1 for the package itself (its public names)."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        for row, names in enumerate(order):
            if ".".join(parts[:length]) in names:
                return row
    return -1


def backward_imports(package_root: Path, package: str, order: Tuple[Tuple[str, ...], ...]) -> List[str]:
    """Imports inside a package that point to a later row of order, and modules that no row names."""
    wrong = []
    for path in sorted((package_root / package).rglob("*.py")):
        name = ".".join(path.relative_to(package_root / package).with_suffix("").parts)
        here = rank(name, order)
        if here < 0:
            if path.name != "__init__.py":
                wrong.append(f"{path.relative_to(package_root)}: no row of the import order names it")
            continue
        for line, target in imported(path, package_root):
            inside = target[len(package) + 1 :] if target.startswith(f"{package}.") else ""
            if inside and rank(inside, order) > here:
                wrong.append(f"{path.relative_to(package_root)}:{line} imports {target}")
    return wrong


def import_circle(package_root: Path, package: str) -> List[str]:
    """The modules that stand in or on a circle of imports inside a package, [] if none; __init__ files are left out."""
    paths = [path for path in (package_root / package).rglob("*.py") if path.name != "__init__.py"]
    modules = {".".join(path.relative_to(package_root).with_suffix("").parts): path for path in paths}
    needs: Dict[str, List[str]] = {}
    for name, path in modules.items():
        targets = {target for _, target in imported(path, package_root)}
        needs[name] = sorted({t if t in modules else t.rpartition(".")[0] for t in targets} & set(modules) - {name})
    while True:  # take away what needs nothing that is left
        free = [name for name, others in needs.items() if not set(others) & set(needs)]
        if not free:
            return sorted(needs)
        for name in free:
            del needs[name]


@pytest.mark.parametrize(("root", "package"), [(ROOT / "planner", "popsparse_planner"), (ROOT, "popsparse_py")])
def test_no_modules_import_each_other(root: Path, package: str) -> None:
    assert import_circle(root, package) == []


def test_circle_is_found(tmp_path: Path) -> None:
    package = tmp_path / "p"
    package.mkdir()
    for name, text in {"a": "from . import b", "b": "from .c import f", "c": "import p.a", "d": "import p.a"}.items():
        (package / f"{name}.py").write_text(text)
    assert import_circle(tmp_path, "p") == ["p.a", "p.b", "p.c", "p.d"]
    (package / "c.py").write_text("")
    assert import_circle(tmp_path, "p") == []


def test_planner_imports_point_one_way() -> None:
    assert backward_imports(ROOT / "planner", "popsparse_planner", PLANNER_ORDER) == []


def test_runtime_imports_point_one_way() -> None:
    assert backward_imports(ROOT, "popsparse_py", RUNTIME_ORDER) == []


def test_backward_import_is_found(tmp_path: Path) -> None:
    package = tmp_path / "popsparse_planner"
    package.mkdir()
    (package / "problem.py").write_text("from .search import plan\nfrom popsparse_planner import errors\n")
    (package / "stray.py").write_text("")
    assert backward_imports(tmp_path, "popsparse_planner", PLANNER_ORDER) == [
        "popsparse_planner/problem.py:1 imports popsparse_planner.search.plan",
        "popsparse_planner/stray.py: no row of the import order names it",
    ]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the list of standard modules came with Python 3.10")
def test_planner_needs_numpy_only() -> None:
    allowed = {"numpy", "tomli", "popsparse_planner", *sys.stdlib_module_names}
    for path in sorted((ROOT / "planner").rglob("*.py")):
        for line, name in imported(path, ROOT / "planner"):
            top = name.split(".")[0]
            assert top in allowed, f"{path.relative_to(ROOT)}:{line} imports {name}"


@pytest.mark.parametrize("name", ["ipu_model", "ipu", "cpu", "cuda"])
def test_no_backend_imports_another(name: str) -> None:
    path = ROOT / "popsparse_py" / "backends" / f"{name}.py"
    others = {f"popsparse_py.backends.{other}" for other in ("ipu_model", "ipu", "cpu", "cuda") if other != name}
    for line, target in imported(path, ROOT) if path.exists() else ():
        assert ".".join(target.split(".")[:3]) not in others, f"{path.name}:{line} imports {target}"


def test_no_module_imports_torch_or_scipy_when_loaded() -> None:
    for path in sorted((ROOT / "popsparse_py").rglob("*.py")):
        if rank(".".join(path.relative_to(ROOT / "popsparse_py").with_suffix("").parts), RUNTIME_ORDER) >= rank(
            "torch_ops", RUNTIME_ORDER
        ):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {name.split(".")[0] for name in names}
            assert not tops & {"torch", "scipy"}, f"{path.relative_to(ROOT)}:{node.lineno} imports {names}"


def test_no_folder_of_tests_bears_the_name_of_a_library() -> None:
    """tests is on the path: where torch is missing, `import torch` would find a folder tests/torch and succeed."""
    libraries = set(re.findall(r'"([\w-]+)[>=]=', (ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    assert {"numpy", "scipy", "torch"} <= libraries
    assert not {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("*.py"))} & libraries


INCLUDES = {  # folder under cpp -> what its #include "..." and <...> may name, beside the standard library
    "codelets": r"<poplar/[\w./]+>|<algorithm>|<array>|<cstddef>|<cstdint>|<limits>|<type_traits>|<tuple>|\"[\w/.]+\"",
    "cpu": r"(?!.*model/).*",
    "cuda": r"(?!.*model/).*",
    "poplar": r"(?!.*model/).*",
}


def test_cpp_includes_point_one_way() -> None:
    for folder, allowed in INCLUDES.items():
        for path in sorted((ROOT / "cpp" / folder).rglob("*.[ch]pp")):
            for include in re.findall(r"^\s*#\s*include\s+(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE):
                assert re.fullmatch(allowed, include), f"{path.relative_to(ROOT)} includes {include}"


def test_files_are_short() -> None:
    paths = files(".py", ".cpp", ".hpp", ".cu", ".cuh")
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n >= MAX_FILE_LINES} == {}


def test_python_functions_are_short() -> None:
    long: Dict[str, int] = {}
    for path in files(".py"):
        if path.name == "run":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length >= MAX_FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    assert long == {}


def test_no_word_that_does_not_belong() -> None:
    marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
    places = ["/wo" + "rk/", "/ro" + "ot/", r"\.\./sha" + "red", "/tmp/te" + "am"]
    pattern = re.compile("|".join([rf"\b{mark}\b" for mark in marks] + places))
    for path in files(".py", ".cpp", ".hpp", ".md", ".toml", ".txt", ".ipynb"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not pattern.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"


def test_top_level_holds_only_what_belongs() -> None:
    made = {"build", "dist", "PKG-INFO"}  # by ./dev, or in an unpacked source distribution
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.name not in made}
    assert found - TOP_LEVEL - {"__pycache__"} == set()
