"""The measurements for a machine with a GPU: their correctness stage on the emulated one, and what they say without."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cuda.emulated import Emulated

from popsparse_py.bench import gpu_correctness, gpu_timing
from popsparse_py.ops import targets


def test_every_kernel_is_checked(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_correctness, "_SHAPE", (50, 150))
    found = gpu_correctness.check_kernels(emulated.backend("Hopper", 1), (4, 16), (6,), seed=1)
    assert all(one.is_right for one in found), [one.to_dict() for one in found if not one.is_right]
    names = {(one.product, one.block_size, one.dtype) for one in found}
    assert {("decode", 16, "float16"), ("rows transposed", 16, "float16"), ("vectors", 4, "float16")} <= names
    assert {("elements transposed", 4, "float32"), ("sampled", 16, "float32")} <= names
    json.dumps([one.to_dict() for one in found], allow_nan=False)


def test_a_wrong_result_is_not_right() -> None:
    w, x = np.eye(4), np.ones((4, 2))
    assert gpu_correctness._share(x.astype(np.float16), w, x, "float16") <= 1
    for wrong in (1.01, np.nan, np.inf):
        broken = x.astype(np.float16)
        broken[2, 1] = wrong
        assert gpu_correctness._share(broken, w, x, "float16") > 1


def test_operands_take_turns_until_the_cache_is_full() -> None:
    assert gpu_timing.copies_for(1 << 30) == 2
    assert gpu_timing.copies_for(60_000_000) == 4
    assert gpu_timing.copies_for(1) == 16


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    if targets()["cuda"] is None:
        pytest.skip("this machine has a GPU")
    command = [sys.executable, "-m", "popsparse_py.bench", "gpu", "--out", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "install a torch with CUDA" in done.stderr or "target 'cuda' cannot be used" in done.stderr
    assert not (tmp_path / "gpu.json").exists()


def test_bench_of_cuda_without_a_gpu_is_one_line() -> None:
    if targets()["cuda"] is None:
        pytest.skip("this machine has a GPU")
    shape = ("-m", "128", "-n", "64", "-b", "16", "-d", "1/4")
    for given, wanted in (("cuda", "GPU"), ("tpu", "--targets expects cpu, cuda or both, got 'tpu'")):
        command = [sys.executable, "-m", "popsparse_py.cli", "bench", "--targets", given, *shape]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert wanted in done.stderr
