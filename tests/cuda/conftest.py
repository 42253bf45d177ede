"""Tests of target "cuda": what needs no GPU."""

import shutil
from typing import Any, Iterator

import pytest

pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")

from cuda.emulated import COMPILERS, Emulated, build_folder, compile_emulator


@pytest.fixture(scope="session")
def emulated() -> Emulated:
    """The emulated driver, compiled when it is first asked for."""
    compiler = next((name for name in COMPILERS if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("no C++ compiler for the emulated GPU")
    return Emulated(compile_emulator(compiler, build_folder()))


@pytest.fixture(params=["Hopper", "Ampere"])
def on_device(request: pytest.FixtureRequest, emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An emulated device that this process's tensors are taken to lie on."""
    device = emulated.device(request.param, seed=3)
    monkeypatch.setattr("popsparse_py.torch_ops.kernels_cuda.device_of", lambda tensor: device)
    emulated.trust(True)
    yield device
    emulated.trust(False)
