"""The compiled CUDA kernels: those shipped with the package, else compiled here by NVRTC and kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import os
import site
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from popsparse_planner.cuda_machine import cuda_machine
from popsparse_planner.errors import TargetUnavailableError

_SOURCES = {
    "blocks": "kernels_blocks.cu",
    "rows16": "kernels_rows16.cu",
    "rows32": "kernels_rows32.cu",
    "vectors": "kernels_vectors.cu",
    "elements": "kernels_elements.cu",
    "decode": "kernels_decode.cu",
    "reduce": "kernels_decode.cu",
    "encode": "kernels_encode.cu",
}
_LIBRARIES = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")


def installed_folder() -> Path:
    """Where the wheel puts the kernels' sources and, if they were compiled with it, the kernels."""
    return Path(str(import_module("popsparse_py._core").__file__)).parent / "cuda"


def source_of(kernel: str) -> str:
    """The file that has a kernel: each is compiled by itself where nothing was compiled before."""
    if "_tf32" in kernel:
        return "kernels_tf32.cu"
    if kernel == "sampled_float32":
        return _SOURCES["elements"]
    return next((file for start, file in _SOURCES.items() if kernel.startswith(start)), "kernels_small.cu")


def shipped_kernels(source: str, machine: str) -> Optional[bytes]:
    """The kernels of a source for a family of GPUs that came with the package, None if nvcc was not there then."""
    shipped = installed_folder() / f"{Path(source).stem}_{machine}.fatbin"
    return shipped.read_bytes() if shipped.exists() else None


def module_for(source: str, facts: Mapping[str, Any]) -> bytes:
    """The kernels of a source for a device, compiled here; TargetUnavailableError if there is no way to do so."""
    folder = installed_folder()
    library = find_nvrtc()
    if library is None:
        raise TargetUnavailableError(
            "this installation has no compiled CUDA kernels, and NVRTC, which would compile them here, was not found: "
            "pip install nvidia-cuda-nvrtc (torch with CUDA brings it), or build popsparse_py where nvcc is installed"
        )
    capability = (int(facts["major"]), int(facts["minor"]))
    machine = cuda_machine(capability, int(facts["shared_bytes"])).name
    return Nvrtc(library).cached(folder / source, machine, architecture(capability), cache_folder())


def architecture(capability: Tuple[int, int]) -> str:
    """NVRTC's name of a compute capability; that of Hopper with the features of its own."""
    return "sm_90a" if capability == (9, 0) else f"sm_{capability[0]}{capability[1]}"


def cache_folder() -> Path:
    """Where compiled kernels are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "popsparse_py"


def find_nvrtc() -> Optional[str]:
    """Path or name of an NVRTC library: one that a package brought, else the system's."""
    return find_library(_LIBRARIES)


def find_library(names: Sequence[str]) -> Optional[str]:
    """Path or name of the first of NVIDIA's libraries of these names: that of a package, else the system's."""
    for folder in dict.fromkeys([*site.getsitepackages(), site.getusersitepackages(), *sys.path]):
        for name in names:
            for found in sorted(Path(folder).glob(f"nvidia/*/lib/{name}*")):
                if ".alt." not in found.name:
                    return str(found)
    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return name
    return None


class Nvrtc:
    """The run-time compiler. library: path or name; TargetUnavailableError if it cannot be loaded."""

    def __init__(self, library: str) -> None:
        try:
            for builtins in sorted(Path(library).parent.glob("libnvrtc-builtins.so*")):
                ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)  # NVRTC looks for it by name only
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise TargetUnavailableError(f"NVRTC at {library} cannot be loaded: {error}") from error
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check(self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "nvrtcVersion")
        self.version = f"{major.value}.{minor.value}"

    def cached(self, source: Path, machine: str, arch: str, cache: Path) -> bytes:
        """The kernels of a source as a cubin, from the cache or compiled and put there."""
        headers = self._headers(source)
        options = [f"--gpu-architecture={arch}", "-std=c++17", f"-DPOPSPARSE_MACHINE={machine}"]
        state = hashlib.sha256("\0".join([self.version, *options, *(n + t for n, t in headers.items())]).encode())
        kept = cache / f"{source.stem}-{state.hexdigest()}.cubin"
        if kept.exists():
            return kept.read_bytes()
        cubin = self.compile(source.name, headers, options)
        cache.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(cubin)
        fresh.replace(kept)  # whole or not at all, whoever else compiles
        return cubin

    def compile(self, source: str, headers: Mapping[str, str], options: List[str]) -> bytes:
        """The cubin of headers[source]; TargetUnavailableError with the compiler's words if it refuses."""
        main = headers[source].encode()
        names = (ctypes.c_char_p * len(headers))(*(name.encode() for name in headers))
        texts = (ctypes.c_char_p * len(headers))(*(text.encode() for text in headers.values()))
        program = ctypes.c_void_p()
        created = self._library.nvrtcCreateProgram(
            ctypes.byref(program), main, source.encode(), len(headers), texts, names
        )
        self._check(created, "nvrtcCreateProgram")
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        code = self._library.nvrtcCompileProgram(program, len(options), given)
        if code:
            log = self._text(program, "ProgramLog")
            raise TargetUnavailableError(f"NVRTC {self.version} refused the kernels ({code}): {log[:2000]}")
        cubin = self._bytes(program, "CUBIN")
        self._library.nvrtcDestroyProgram(ctypes.byref(program))
        return cubin

    @staticmethod
    def _headers(source: Path) -> Dict[str, str]:
        folder = source.parent
        paths = [source, *sorted(folder.glob("*.cuh")), *sorted((folder / "gpu").glob("*.cuh"))]
        return {path.name: path.read_text(encoding="utf-8") for path in paths}

    def _bytes(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), what)
        buffer = ctypes.create_string_buffer(size.value)
        self._check(getattr(self._library, f"nvrtcGet{what}")(program, buffer), what)
        return buffer.raw

    def _text(self, program: ctypes.c_void_p, what: str) -> str:
        return self._bytes(program, what).rstrip(b"\0").decode(errors="replace")

    @staticmethod
    def _check(code: int, what: str) -> None:
        if code:
            raise TargetUnavailableError(f"NVRTC failed in {what} ({code})")
