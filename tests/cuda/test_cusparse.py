"""How cuSPARSE is called: on a library that multiplies on the host as the documentation says."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cuda.emulated import COMPILERS

from popsparse_planner import BlockPattern, TargetUnavailableError
from popsparse_py import BlockSparseMatrix
from popsparse_py.bench.gpu_cusparse import FORMATS, Cusparse, CusparseError, product

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state")
SHAPE, B, N = (24, 40), 4, 6


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fake library, compiled."""
    compiler = next((name for name in COMPILERS if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("no C++ compiler for the fake cuSPARSE")
    library = tmp_path_factory.mktemp("cusparse") / "libcusparse_fake.so"
    source = Path(__file__).with_name("fake_cusparse.cpp")
    subprocess.run([compiler, "-std=c++17", "-shared", "-fPIC", "-Wall", str(source), "-o", str(library)], check=True)
    return str(library)


@pytest.fixture
def fake(path: str) -> Any:
    """What the fake can be told beside what a cuSPARSE can."""
    library = ctypes.CDLL(path)
    library.fakeCalls.restype = ctypes.c_char_p
    library.fakeForget()
    return library


def operands() -> Any:
    pattern = BlockPattern.random(SHAPE, density=0.3, block_size=B, seed=3, kind="power_law")
    torch.manual_seed(0)
    a = BlockSparseMatrix(pattern, torch.randn(pattern.nnz_blocks, B, B).numpy())
    return torch.from_numpy(a.to_dense()), torch.randn(SHAPE[1], N)


@pytest.mark.parametrize("layout", sorted(FORMATS))
@pytest.mark.parametrize("refuses_rows", [False, True])
def test_every_format_multiplies_and_is_given_back(path: str, fake: Any, layout: str, refuses_rows: bool) -> None:
    (w, x), alive = operands(), fake.fakeAlive()
    if refuses_rows:
        fake.fakeRefuse(b"cusparseSpMM by rows", 10)
    call = product(Cusparse(path), layout, w, B, x)
    for operand in (x, torch.randn_like(x)):
        torch.testing.assert_close(call(operand), w @ operand)
    assert fake.fakeAlive() == alive + 2  # the handle and W
    assert fake.fakeCalls().count(b"cusparseSpMM_preprocess") == 1 + refuses_rows
    del call
    assert fake.fakeAlive() == alive


def test_what_is_refused_is_named_and_given_back(path: str, fake: Any) -> None:
    (w, x), alive = operands(), fake.fakeAlive()
    fake.fakeRefuse(b"cusparseSpMM_bufferSize by rows", 10)
    fake.fakeRefuse(b"cusparseSpMM_bufferSize", 10)
    with pytest.raises(CusparseError, match=r"^cusparseSpMM_bufferSize: CUSPARSE_STATUS_NOT_SUPPORTED$") as caught:
        product(Cusparse(path), "bsr", w, B, x)
    del caught
    assert fake.fakeAlive() == alive
    fake.fakeRefuse(b"cusparseCreate", 3)
    with pytest.raises(CusparseError, match=r"^cusparseCreate: CUSPARSE_STATUS_INVALID_VALUE$"):
        Cusparse(path)
    assert fake.fakeAlive() == alive


def test_a_missing_library_is_named(fake: Any) -> None:
    with pytest.raises(TargetUnavailableError, match=r"cuSPARSE cannot be used \(.*pip install nvidia-cusparse"):
        Cusparse("libcusparse_that_is_not_there.so")
    with pytest.raises(TargetUnavailableError, match="cuSPARSE cannot be used"):
        Cusparse(str(torch._C.__file__))  # a library without these functions
