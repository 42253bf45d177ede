"""What ./dev works with: printed commands, locks, the compiler, and environments that a stamp keeps up to date."""

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BUILD = ROOT / "build"
CONSTRAINTS = ROOT / "constraints.txt"
COMPILERS = ("c++", "g++", "g++-15", "g++-14", "g++-13", "g++-12", "clang++", "clang++-19", "clang++-18", "clang++-16")
OLDEST = {"gcc": 12, "clang": 15}  # the first with _Float16 on x86-64 in C++


class DevError(Exception):
    """A message for the person at the terminal: what is missing and what to do."""


def run(
    *command: object,
    cwd: Path = ROOT,
    env: Optional[Dict[str, str]] = None,
) -> None:
    """Prints a command and runs it, `env` added to the environment; DevError with its exit code if it fails."""
    words = [str(word) for word in command]
    shown = [f"{name}={shlex.quote(value)}" for name, value in (env or {}).items()] + [shlex.quote(w) for w in words]
    print("$ " + ("" if cwd == ROOT else f"cd {cwd} && ") + " ".join(shown), flush=True)
    code = subprocess.run(words, cwd=cwd, env={**os.environ, **(env or {})}).returncode
    if code:
        raise DevError(f"exit code {code} from: {' '.join(words[:6])}{' ...' if len(words) > 6 else ''}")


def output(*command: str) -> Optional[str]:
    """What a command prints, None if it cannot run or fails."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return None


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds build/NAME.lock; a second process says so and waits."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f"{name}.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"dev: another ./dev holds build/{name}.lock; waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(paths: Iterable[Path], *words: str) -> str:
    """SHA-256 of words, file names and contents; folders are walked, generated Python files left out."""
    state = hashlib.sha256("\0".join(words).encode())
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if "__pycache__" not in file.parts:
                state.update(f"\0{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return state.hexdigest()


# --- compiler and build tools


def compiler_version(text: str) -> Optional[Tuple[str, int]]:
    """("gcc" | "clang", major version) from what `c++ --version` prints, None if it is neither."""
    clang = re.search(r"clang version (\d+)", text)
    if clang:
        return "clang", int(clang.group(1))
    gcc = re.search(r"^\S*(?:g\+\+|c\+\+|gcc)\S* \(.*\) (\d+)\.", text)
    return ("gcc", int(gcc.group(1))) if gcc else None


def find_compiler(names: Optional[Sequence[str]] = None) -> str:
    """The first C++ compiler new enough: $CXX alone if it is set, else those of COMPILERS."""
    names = names or ([os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS)
    found: List[str] = []
    for name in names:
        version = compiler_version(output(name, "--version") or "")
        if version and version[1] >= OLDEST[version[0]]:
            return name
        if version:
            found.append(f"{name} is {version[0]} {version[1]}")
    raise DevError(
        f"no C++ compiler is new enough: GCC >= 12 or clang >= 15 is needed, {', '.join(found) or 'none was found'} "
        f"(looked for {', '.join(names)}). On Debian or Ubuntu: apt-get install g++-12; another: CXX=... ./dev ..."
    )


def build_requirements() -> List[str]:
    """Packages that must stand in an environment before the native core is built there without isolation."""
    cmake = re.search(r"version (\d+)\.(\d+)", output("cmake", "--version") or "")
    names = ["pip>=23.1", "scikit-build-core", "pybind11"]
    if not cmake or (int(cmake.group(1)), int(cmake.group(2))) < (3, 18):
        names.append("cmake")
    return names if output("ninja", "--version") else [*names, "ninja"]


def build_environment(source: Path = ROOT) -> Dict[str, str]:
    """Variables that a build of the native core from a source tree is run with: what another has compiled is kept."""
    variables = {"CXX": find_compiler(), "SKBUILD_CMAKE_DEFINE": f"POPSPARSE_KERNELS_FOLDER={BUILD / 'kernels'}"}
    if shutil.which("ccache"):
        variables.update(CMAKE_CXX_COMPILER_LAUNCHER="ccache", CCACHE_BASEDIR=str(source), CCACHE_NOHASHDIR="1")
    return variables


def objects_folder(prefix: str) -> str:
    """Where a build keeps its object files, one folder for each compiler: CMake never changes a folder's compiler."""
    compiler = find_compiler()
    name = f"{shutil.which(compiler)} {output(compiler, '--version')}"
    return f"build/{prefix}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


# --- environments


def python_of(venv: Path) -> Path:
    return venv / "bin" / "python"


def make_venv(venv: Path, python: str = sys.executable) -> None:
    """Makes an environment with pip; one that is there and works is kept, a broken one is made anew."""
    if output(str(python_of(venv)), "-m", "pip", "--version"):
        return
    if output(python, "-c", "import venv, ensurepip") is None:
        raise DevError(f"{python} has no venv module; on Debian or Ubuntu: apt-get install python3-venv")
    run(python, "-m", "venv", "--clear", venv)


def stamped(venv: Path, name: str, key: str) -> bool:
    stamp = venv / f".stamp-{name}"
    return stamp.exists() and stamp.read_text() == key


def pip_install(venv: Path, *arguments: object, env: Optional[Dict[str, str]] = None) -> None:
    quiet = ("--quiet", "--disable-pip-version-check")
    run(python_of(venv), "-m", "pip", "install", *quiet, "-c", CONSTRAINTS, *arguments, env=env)


def install_tools(*packages: str) -> Path:
    """.venv with the packages named, at the versions of constraints.txt; no compiler is needed. Returns its bin/."""
    key = digest([CONSTRAINTS], sys.version, *packages)
    with locked("setup"):
        make_venv(VENV)
        if not stamped(VENV, "-".join(packages), key):
            pip_install(VENV, *packages)
            (VENV / f".stamp-{'-'.join(packages)}").write_text(key)
    return VENV / "bin"


def install_project(venv: Path = VENV, python: str = sys.executable) -> Path:
    """An environment with the project (editable, native core built), its dependencies and those of the tests.

    Done again when pyproject.toml, constraints.txt, the C++ sources, a compiler or Python change. Returns its bin/.
    """
    environment = build_environment()
    inputs = [ROOT / "pyproject.toml", CONSTRAINTS, ROOT / "cpp"]
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    programs = ((python, "-VV"), (environment["CXX"], "--version"), (nvcc, "--version"))
    key = digest(inputs, *(output(*program) or "" for program in programs), str(ROOT))
    with locked("setup"):
        make_venv(venv, python)
        if not stamped(venv, "project", key):
            pip_install(venv, *build_requirements())
            folder = f"--config-settings=build-dir={objects_folder('{wheel_tag}')}"
            kernels = "--config-settings=cmake.define.POPSPARSE_CUDA_KERNELS=AUTO"  # tests look at what nvcc made
            pip_install(venv, "--no-build-isolation", folder, kernels, "-e", ".[test]", env=environment)
            (venv / ".stamp-project").write_text(key)
    return venv / "bin"
