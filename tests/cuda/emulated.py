"""The emulated GPU: kernels compiled for the host behind the driver's interface, so that the launcher runs as it is."""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator, List, Tuple

from popsparse_py.backends.cuda import CudaBackend
from popsparse_py.backends.cuda_device import CudaDevice

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "cpp" / "cuda"
EMULATOR = Path(__file__).resolve().parent / "emulator"
MACHINES = {"Ampere": (8, 0), "Blackwell": (10, 0), "Hopper": (9, 0)}
DEVICE_BYTES = 1 << 30
COMPILERS = ("g++", "c++", "g++-12", "clang++")
_WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-parameter")


def build_folder() -> Path:
    """A folder for these sources: what was compiled once is used again."""
    state = hashlib.sha256()
    for path in sorted([*KERNELS.rglob("*.cu*"), *EMULATOR.iterdir(), Path(__file__)]):
        state.update(path.name.encode() + path.read_bytes())
    folder = ROOT / "build" / f"cuda-{state.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time compiles."""
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_emulator(compiler: str, folder: Path) -> Path:
    """The library that stands in for libcuda.so.1."""
    library = folder / "libcuda_emulated.so"
    flags = (compiler, "-std=c++17", "-O1", "-fPIC", "-ffp-contract=off", *_WARNINGS, f"-I{EMULATOR}", f"-I{KERNELS}")
    jobs: List[Tuple[Path, List[str]]] = [
        (folder / f"{name}.o", [str(EMULATOR / f"{name}.cpp")]) for name in ("scheduler", "instructions", "driver")
    ]
    jobs += [
        (folder / f"{name}.o", [f"-DPOPSPARSE_MACHINE={name}", str(EMULATOR / "kernels.cpp")]) for name in MACHINES
    ]

    launcher = ["ccache"] if shutil.which("ccache") else []  # knows them in another checkout
    environment = {**os.environ, "CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1"}

    def one(job: Tuple[Path, List[str]]) -> None:
        command = [*launcher, *flags, "-c", *job[1], "-o", str(job[0])]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    with locked(folder):
        if not library.exists():
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(one, jobs))
            part = folder / "part.so"
            subprocess.run([compiler, "-shared", *(str(o) for o, _ in jobs), "-o", str(part)], check=True)
            part.replace(library)
    return library


class Emulated:
    """The emulated driver: its library, and what it can be told beside what a driver can."""

    def __init__(self, library: Path) -> None:
        self.path = str(library)
        self._handle = ctypes.CDLL(self.path)
        self._handle.emulatorError.restype = ctypes.c_char_p
        self._handle.emulatorLaunches.restype = self._handle.emulatorTransfers.restype = ctypes.c_long

    def device(self, machine: str, seed: int = 0, num_bytes: int = DEVICE_BYTES) -> CudaDevice:
        """A device of that family; seed 0: threads in order, copies at once; else both as chance has it."""
        major, minor = MACHINES[machine]
        self._handle.emulatorConfigure(major, minor, seed, ctypes.c_size_t(num_bytes))
        return CudaDevice(self.path, 0, kernels=b"emulated")

    def backend(self, machine: str, seed: int = 0) -> CudaBackend:
        """The backend of such a device."""
        return CudaBackend(device=self.device(machine, seed))

    def trust(self, trusting: bool) -> None:
        """Whether kernels may read this process's own memory, such as that of tensors."""
        self._handle.emulatorTrust(int(trusting))

    @property
    def error(self) -> str:
        """What the last launch did wrong, "" if nothing."""
        return str(self._handle.emulatorError().decode())

    @property
    def launches(self) -> int:
        """Kernels started since the device was made."""
        return int(self._handle.emulatorLaunches())

    @property
    def transfers(self) -> int:
        """Copies between host and device, and times that the host waited for the device, since the library is open."""
        return int(self._handle.emulatorTransfers())
