"""One CUDA device: the driver opened when it is asked for, its memory, and the kernels compiled for it."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any, Dict, Optional, Sequence, Set, Tuple

import numpy as np

from popsparse_planner.cuda_machine import CudaMachine, cuda_machine
from popsparse_planner.errors import TargetUnavailableError

from .cuda_kernels import module_for, shipped_kernels, source_of


class DeviceArray:
    """Memory of the device that is freed with the object; pointer: its address, num_bytes: its size."""

    def __init__(self, native: Any, num_bytes: int) -> None:
        self.pointer, self.num_bytes = 0, num_bytes
        self._native = native
        self.pointer = native.allocate(num_bytes)

    def __del__(self) -> None:
        if self.pointer:
            self._native.free(self.pointer)


class CudaDevice:
    """A device. library: of the driver, "" for libcuda.so.1; kernels: a module that has all of them, None for those of
    this installation. Raises TargetUnavailableError.
    """

    def __init__(self, library: str = "", ordinal: int = 0, kernels: Optional[bytes] = None) -> None:
        core = import_module("popsparse_py._core")
        self.native = core.CudaDevice(library, ordinal)
        self.ordinal = ordinal
        self.facts: Dict[str, Any] = self.native.facts
        self.machine: CudaMachine = cuda_machine((self.facts["major"], self.facts["minor"]), self.facts["shared_bytes"])
        self._functions: Dict[Tuple[str, int], int] = {}
        self._modules: Set[str] = set()  # sources whose kernels are loaded, or "all"
        if kernels is not None:
            self.native.load_module(kernels)
            self._modules.add("all")

    def launch(
        self,
        name: str,
        grid: Tuple[int, int, int, int],  # blocks along x and y, threads, bytes of shared memory
        product: Sequence[int],  # x, values, y, bias, pitches of x and y, m, k, n, activation, fault
        rest: Sequence[int],
        *,
        boxes: Tuple[int, int, int, int, bool] = (0, 0, 0, 1, False),
        stream: int = 0,
    ) -> None:
        """Start the kernel of that name for this machine; see Product and the arguments in cpp/cuda/arguments.cuh."""
        function = self._functions.get((name, grid[3]))
        if function is None:
            function = self._functions[(name, grid[3])] = self._function(name, grid[3])
        self.native.launch(function, grid, tuple(product), boxes, list(rest), stream)

    def _function(self, name: str, shared_bytes: int) -> int:
        source = source_of(name)
        if source not in self._modules and "all" not in self._modules:
            shipped = shipped_kernels(source, self.machine.name)
            self.native.load_module(module_for(source, self.facts) if shipped is None else shipped)
            self._modules.add(source)
        return int(self.native.function(f"{name}_{self.machine.name}", shared_bytes))

    def empty(self, num_bytes: int) -> DeviceArray:
        """Memory that nobody wrote yet; DeviceMemoryError with what is free."""
        return DeviceArray(self.native, num_bytes)

    def put(self, array: np.ndarray, stream: int = 0) -> DeviceArray:
        """A copy of `array` on the device."""
        plain = np.ascontiguousarray(array)
        memory = self.empty(plain.nbytes)
        if plain.nbytes:
            self.native.upload(memory.pointer, plain, stream)
        return memory

    def put_rows(self, matrix: np.ndarray, pitch: int, stream: int = 0) -> DeviceArray:
        """A copy of a matrix with `pitch` elements from row to row, what lies between them zero."""
        if matrix.shape[1] == pitch:
            return self.put(matrix, stream)
        wide = np.zeros((matrix.shape[0], pitch), dtype=matrix.dtype)
        wide[:, : matrix.shape[1]] = matrix
        return self.put(wide, stream)

    def get(self, memory: DeviceArray, to: np.ndarray, stream: int = 0) -> None:
        """Copy the device's memory to a contiguous array of the same size."""
        if to.nbytes:
            self.native.download(to, memory.pointer, stream)


@lru_cache(maxsize=8)
def open_device(library: str = "", ordinal: int = 0) -> CudaDevice:
    """The device, opened once in a process; TargetUnavailableError says why it cannot be used, and is not kept."""
    return CudaDevice(library, ordinal)


def why_no_device(library: str = "", ordinal: int = 0) -> Optional[str]:
    """Why the device cannot be used and what to do; None if it can."""
    try:
        open_device(library, ordinal)
    except ImportError as error:
        return f"the compiled core is missing ({error}): install the wheel, or build it with ./dev demo"
    except TargetUnavailableError as error:
        return str(error)
    return None
