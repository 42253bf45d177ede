"""What the launcher believes of the driver's interface is what cuda.h says."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cuda.emulated import COMPILERS, KERNELS


def test_structs_and_numbers_are_those_of_the_header() -> None:
    nvcc = shutil.which("nvcc")
    places = [Path("/usr/local/cuda/include"), *([Path(nvcc).resolve().parents[1] / "include"] if nvcc else [])]
    found = next((place for place in places if (place / "cuda.h").exists()), None)
    compiler = next((name for name in COMPILERS if shutil.which(name)), None)
    if found is None or compiler is None:
        pytest.skip("cuda.h or a C++ compiler is not installed")
    source = Path(__file__).with_name("driver_abi.cpp")
    flags = ("-std=c++17", "-fsyntax-only", "-Wno-invalid-offsetof", f"-I{found}", f"-I{KERNELS}")
    done = subprocess.run([compiler, *flags, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
