"""What nvcc makes of the kernels: no spills, registers that leave room for the threads, the instructions meant."""

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, NamedTuple, Optional

import pytest
from cuda.emulated import KERNELS, build_folder, locked

ARCHITECTURES = {"80": "Ampere", "90a": "Hopper", "100": "Blackwell", "120": "Blackwell"}
# Registers of a thread, at most: 65,536 of a multiprocessor over the threads of its block, in units of 8.
MOST_REGISTERS = {
    "blocks": 168,
    "rows": 168,
    "vectors": 168,
    "sampled": 255,
    "decode": 128,
    "elements": 168,
    "reduce": 64,
    "gather": 40,
}
OLDEST_NVCC = (12, 8)
KERNELS_OF_A_MACHINE = {"Ampere": 31, "Blackwell": 31, "Hopper": 35}


class Usage(NamedTuple):
    """What ptxas says of a kernel."""

    registers: int
    spilled_bytes: int


def find_nvcc() -> Optional[str]:
    return shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def compiled(nvcc: str, folder: Path, arch: str) -> Path:
    """The cubin of an architecture, with what ptxas said beside it."""
    cubin = folder / f"kernels_{arch}.cubin"
    if not cubin.exists():
        part = folder / f"kernels_{arch}.part"
        flags = (
            "-std=c++17",
            "-cubin",
            "-Xptxas=-v",
            f"-I{KERNELS / 'gpu'}",
            f"-DPOPSPARSE_MACHINE={ARCHITECTURES[arch]}",
        )
        code = f"-gencode=arch=compute_{arch},code=sm_{arch}"
        command = [nvcc, *flags, code, str(KERNELS / "kernels.cu"), "-o", str(part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        cubin.with_suffix(".txt").write_text(done.stderr)
        part.replace(cubin)
    return cubin


@pytest.fixture(scope="module")
def cubins() -> Dict[str, Path]:
    """The kernels for every architecture, compiled once."""
    nvcc = find_nvcc()
    if nvcc is None:
        pytest.skip("nvcc is not installed: the kernels are not compiled here")
    says = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    release = re.search(r"release (\d+)\.(\d+)", says)
    if release is None or (int(release.group(1)), int(release.group(2))) < OLDEST_NVCC:
        pytest.skip(f"{nvcc} is older than 12.8 and does not know sm_120: the kernels are not compiled here")
    folder = build_folder()
    with locked(folder), ThreadPoolExecutor(2) as pool:
        return dict(zip(ARCHITECTURES, pool.map(lambda arch: compiled(nvcc, folder, arch), ARCHITECTURES)))


def usage_of(text: str) -> Dict[str, Usage]:
    """Usage by kernel, from what ptxas -v prints."""
    found = {}
    for part in text.split("Compiling entry function '")[1:]:
        spilled = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", part)
        registers = re.search(r"Used (\d+) registers", part)
        assert spilled and registers, part
        name = part.split("'")[0]
        found[name] = Usage(int(registers.group(1)), int(spilled.group(1)) + int(spilled.group(2)))
    return found


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_no_kernel_spills(arch: str, cubins: Dict[str, Path]) -> None:
    usage = usage_of(cubins[arch].with_suffix(".txt").read_text())
    assert len(usage) == KERNELS_OF_A_MACHINE[ARCHITECTURES[arch]]
    assert {name: use for name, use in usage.items() if use.spilled_bytes} == {}
    assert all(name.endswith(f"_{ARCHITECTURES[arch]}") for name in usage)
    most = {name: MOST_REGISTERS[re.match("[a-z]+", name).group()] for name in usage}  # type: ignore[union-attr]
    assert {name: use for name, use in usage.items() if use.registers > most[name]} == {}


def test_planted_spill_is_read() -> None:
    text = (
        "ptxas info    : Compiling entry function 'a_Hopper' for 'sm_90a'\n"
        "    8 bytes stack frame, 8 bytes spill stores, 16 bytes spill loads\nptxas info    : Used 168 registers, x\n"
    )
    assert usage_of(text) == {"a_Hopper": Usage(168, 24)}


def find_cuobjdump() -> Optional[str]:
    """NVIDIA's package, or the CUDA toolkit's."""
    places = [Path(folder) / "nvidia" / "cu13" / "bin" / "cuobjdump" for folder in sys.path]
    found = next((str(place) for place in places if place.exists()), None)
    return found or shutil.which("cuobjdump") or shutil.which("/usr/local/cuda/bin/cuobjdump")


# Instructions that the machine code of a kernel must have, and how many of each at least.
MEANT = {
    "90a": {
        "rows16_bfloat16_Hopper": {"HMMA": 128, "LDSM.16.MT88.4": 16, "UTMALDG": 1, "USETMAXREG": 2, "SYNCS": 4},
        "rows16_transposed_bfloat16_Hopper": {"HMMA": 128, "LDSM.16.MT88.4": 16, "MOVM.16.MT88": 16},
        "vectors_float16_Hopper": {
            "HMMA": 128,
            "LDSM.16.MT88.4": 16,
            "UTMALDG": 1,
            "USETMAXREG": 2,
            "MOVM.16.MT88": 64,
        },
        "sampled_bfloat16_Hopper": {"HMMA": 64, "LDSM.16.M88.4": 64, "LDGSTS": 1},
        "blocks_bfloat16_Hopper": {"HGMMA.64x64x16.F32.BF16": 16, "UTMALDG": 1, "USETMAXREG": 2},
        "elements16_float32_Hopper": {"FFMA": 256},
    },
    "80": {"rows16_bfloat16_Ampere": {"HMMA": 64, "LDSM.16.MT88.4": 16, "LDGSTS": 1}},
}


@pytest.mark.parametrize("arch", sorted(MEANT))
def test_machine_code_has_the_instructions_meant(arch: str, cubins: Dict[str, Path]) -> None:
    tool = find_cuobjdump()
    if tool is None:
        pytest.skip("no look at machine code: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
    for name, wanted in MEANT[arch].items():
        command = [tool, "-sass", "-fun", name, str(cubins[arch])]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        counts = {word: len(re.findall(rf"\b{re.escape(word)}\b", text)) for word in wanted}
        assert all(counts[word] >= least for word, least in wanted.items()), counts
        assert not re.search(r"\b(LDL|STL)\b", text), "registers are kept in memory"
