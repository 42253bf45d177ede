"""Tests of target "cuda": what needs no GPU."""

import shutil

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
