"""What the CUDA kernels are compiled with: constants that their sources share with the plans, and families of GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from .errors import TargetUnavailableError

LANES = 32
WARPS = 8  # that multiply, in a block of threads
RING_THREADS = 384  # with the four warps that copy
SLAB_ROWS = 128
SLAB_COLUMNS = 64
BLOCK_SIDE, GROUP_WARPS = 64, 4  # of the kernel that multiplies by warpgroups
VECTOR_ROWS, VECTOR_DEPTH = 8, 16  # rows of W and of X that a step of the gathered kernel multiplies


@dataclass(frozen=True)
class CudaMachine:
    """A family of GPUs that one set of kernels is compiled for; its name ends the names of the kernels.

    accumulators: float32 sums of a lane; tensor_maps: X is copied by the tensor memory accelerator; shared_bytes: that
    a block of threads may use.
    """

    name: str
    accumulators: int
    tensor_maps: bool
    shared_bytes: int

    @property
    def has_groups(self) -> bool:
        """Whether four warps can multiply together (WGMMA), in blocks of 64."""
        return self.name == "Hopper"

    @property
    def most_cluster(self) -> int:
        """Blocks of threads that can copy X for one another."""
        return 4 if self.name == "Hopper" else 1

    @property
    def slabs_bytes(self) -> int:
        """Of shared memory, for the ring of slabs of X."""
        return 192 * 1024 if self.name == "Hopper" else 96 * 1024

    def stages(self, slab_bytes: int) -> int:
        """Slabs of the ring."""
        return self.slabs_bytes // slab_bytes

    def ring_bytes(self, slab_bytes: int) -> int:
        """The ring with its barriers."""
        return self.slabs_bytes + 16 * self.stages(slab_bytes)

    @property
    def span(self) -> int:
        """Slabs, one behind the other, that a step of the gathered kernel may need."""
        return self.stages(2 * SLAB_ROWS * SLAB_COLUMNS) * 2 // 3


def cuda_machine(capability: Tuple[int, int], shared_bytes: int) -> CudaMachine:
    """The family of a GPU of this compute capability; TargetUnavailableError below 8.0."""
    if capability < (8, 0):
        raise TargetUnavailableError(
            f"compute capability {capability[0]}.{capability[1]} is too old: 8.0 (A100) or later is needed; use "
            "target='cpu'"
        )
    if capability == (9, 0):
        return CudaMachine("Hopper", 128, True, shared_bytes)
    if capability[0] in (10, 12):
        return CudaMachine("Blackwell", 64, True, shared_bytes)
    return CudaMachine("Ampere", 64, False, shared_bytes)  # runs on what is newer too, by way of PTX
