"""What nvcc made of the kernels when this was installed: no spills, registers that leave room for the threads, the
instructions meant.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import pytest

from popsparse_planner.errors import TargetUnavailableError
from popsparse_py.backends.cuda_kernels import Nvrtc, find_nvrtc, installed_folder, module_for, source_of

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
    "encode": 128,
}
# ptxas for sm_120 puts 8 bytes of zeros on the stack where it copies by tensor maps; nothing reads them.
STACK_BYTES = {"120": 8}
OLDEST_NVCC = (12, 8)
KERNELS_OF_A_MACHINE = {"Ampere": 63, "Blackwell": 63, "Hopper": 87}


# 64 sums and 64 factors at once, with 32 registers.
SPILLS = """
extern "C" __global__ void __launch_bounds__(1024, 2) spills(const float *x, float *y, int rounds) {
  float sums[64], factors[64];
  for (int i = 0; i < 64; ++i) sums[i] = 0, factors[i] = x[threadIdx.x + 1024 * i];
  for (int round = 0; round < rounds; ++round)
    for (int i = 0; i < 64; ++i) sums[i] += factors[i] * x[round];
  for (int i = 0; i < 64; ++i) y[threadIdx.x + 1024 * i] = sums[i];
}
"""


class Usage(NamedTuple):
    """What a kernel takes; kept_bytes: registers that went to memory, and arrays that never were in registers."""

    registers: int
    kept_bytes: int


def find_nvcc() -> Optional[str]:
    """nvcc, if it is new enough for every architecture."""
    nvcc = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    says = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout if nvcc else ""
    release = re.search(r"release (\d+)\.(\d+)", says)
    return nvcc if release and (int(release.group(1)), int(release.group(2))) >= OLDEST_NVCC else None


def look_at(path: Path, arch: str, *options: str) -> str:
    """What cuobjdump, NVIDIA's package or the CUDA toolkit's, says of an architecture's kernels in a file."""
    places = [Path(folder) / "nvidia" / "cu13" / "bin" / "cuobjdump" for folder in sys.path]
    found = next((str(place) for place in places if place.exists()), None)
    tool = found or shutil.which("cuobjdump") or shutil.which("/usr/local/cuda/bin/cuobjdump")
    if tool is None:
        pytest.skip("no look at machine code: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
    command = [tool, *options, "-arch", f"sm_{arch}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def usage_of(path: Path, arch: str) -> Dict[str, Usage]:
    """Usage by kernel of a fatbin or cubin."""
    pattern = r"Function (\w+):\s+REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)"
    found = re.findall(pattern, look_at(path, arch, "-res-usage"))
    return {name: Usage(int(registers), int(stack) + int(local)) for name, registers, stack, local in found}


@pytest.fixture(scope="module")
def fatbins() -> List[Path]:
    """The compiled kernels of this installation."""
    found = sorted(installed_folder().glob("kernels_*.fatbin"))
    if not found:
        assert find_nvcc() is None, "nvcc is here and no kernels are installed: ./dev test installs them"
        pytest.skip("the kernels were not compiled: nvcc 12.8 or later was not there when this was installed")
    return found


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_no_kernel_spills(arch: str, fatbins: List[Path]) -> None:
    machine = ARCHITECTURES[arch]
    usage = {n: u for path in fatbins if path.stem.endswith(machine) for n, u in usage_of(path, arch).items()}
    assert len(usage) == KERNELS_OF_A_MACHINE[machine]
    assert {name: use for name, use in usage.items() if use.kept_bytes > STACK_BYTES.get(arch, 0)} == {}
    assert all(name.endswith(f"_{machine}") for name in usage)
    most = {name: MOST_REGISTERS[re.match("[a-z]+", name).group()] for name in usage}  # type: ignore[union-attr]
    assert {name: use for name, use in usage.items() if use.registers > most[name]} == {}


def test_planted_spill_is_found(tmp_path: Path) -> None:
    nvcc = find_nvcc()
    if nvcc is None:
        pytest.skip("nvcc is not installed")
    source, cubin = tmp_path / "spills.cu", tmp_path / "spills.cubin"
    source.write_text(SPILLS)
    subprocess.run([nvcc, "-cubin", "-arch=sm_90a", str(source), "-o", str(cubin)], check=True, capture_output=True)
    usage = usage_of(cubin, "90a")["spills"]
    assert usage.kept_bytes > 0
    assert usage.registers <= 32


# Instructions that the machine code of a kernel must have, and how many of each at least.
MEANT = {
    "90a": {
        "rows16_bfloat16_Hopper": {"HMMA": 128, "LDSM.16.MT88.4": 16, "UTMALDG": 1, "USETMAXREG": 2, "SYNCS": 4},
        "rows16_transposed_bfloat16_Hopper": {"HMMA": 128, "LDSM.16.MT88.4": 16, "MOVM.16.MT88": 16},
        "rows16_wide_float16_Hopper": {"HMMA": 128, "LDSM.16.MT88.4": 32, "UTMALDG": 2, "USETMAXREG": 2},
        "rows32_wide_bfloat16_Hopper": {"HMMA": 64, "LDSM.16.MT88.4": 16, "UTMALDG": 2},
        "rows16_by_rows_bfloat16_Hopper": {"HMMA": 128, "LDSM.16.M88.4": 16, "UTMALDG": 2, "MOVM.16.MT88": 64},
        "vectors_by_rows_float16_Hopper": {"HMMA": 128, "LDSM.16.M88.4": 16, "UTMALDG": 2},
        "blocks_by_rows_float16_Hopper": {"HGMMA.64x256x16.F32": 4, "UTMALDG": 1, "MOVM.16.MT88": 64},
        "vectors_float16_Hopper": {
            "HMMA": 128,
            "LDSM.16.MT88.4": 16,
            "UTMALDG": 1,
            "USETMAXREG": 2,
            "MOVM.16.MT88": 64,
        },
        "decode_vectors16_by8_bfloat16_Hopper": {"HMMA": 8, "LDSM.16.MT88.4": 8, "LDG.E.NA.64.CONSTANT": 16},
        "decode_vectors32_by1_bfloat16_Hopper": {"HMMA": 64, "LDSM.16.MT88.4": 64, "MOVM.16.MT88": 4},
        "sampled_bfloat16_Hopper": {"HMMA": 64, "LDSM.16.M88.4": 64, "LDGSTS": 1},
        "blocks_bfloat16_Hopper": {"HGMMA.64x256x16.F32.BF16": 4, "UTMALDG": 4, "USETMAXREG": 2},
        "elements16_float32_Hopper": {"FFMA": 256},
        "rows32_transposed_tf32_Hopper": {"HMMA.1688.F32.TF32": 128, "LDS": 64, "UTMALDG": 1, "USETMAXREG": 2},
        "vectors_tf32_Hopper": {"HMMA.1688.F32.TF32": 256, "LDS": 128, "LDG.E.NA.128.CONSTANT": 8},
    },
    "80": {"rows16_bfloat16_Ampere": {"HMMA": 64, "LDSM.16.MT88.4": 16, "LDGSTS": 1}},
    "120": {"rows16_bfloat16_Blackwell": {"HMMA": 64, "LDSM.16.MT88.4": 16, "UTMALDG": 1}},
}


def instructions(path: Path, arch: str, name: str) -> Counter:  # type: ignore[type-arg]
    """How often each instruction, with what follows its dots, is in a kernel."""
    text = look_at(path, arch, "-sass", "-fun", name)
    return Counter(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?([A-Z][\w.]+)", text, re.MULTILINE))


@pytest.mark.parametrize(("arch", "name"), [(arch, name) for arch in MEANT for name in MEANT[arch]])
def test_machine_code_has_the_instructions_meant(arch: str, name: str, fatbins: List[Path]) -> None:
    source = Path(source_of(name)).stem
    found = instructions(installed_folder() / f"{source}_{ARCHITECTURES[arch]}.fatbin", arch, name)
    wanted = MEANT[arch][name]
    counts = {word: sum(n for full, n in found.items() if f"{full}.".startswith(f"{word}.")) for word in wanted}
    assert all(counts[word] >= least for word, least in wanted.items()), counts
    assert [full for full in found if full.startswith("LDL")] == [], "registers are kept in memory"


def test_what_is_not_shipped_is_compiled_here_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = find_nvrtc()
    if library is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    facts = {"major": 9, "minor": 0, "shared_bytes": 232448}
    cubin = module_for("kernels_encode.cu", facts)
    path = tmp_path / "encode.cubin"
    path.write_bytes(cubin)
    assert {"encode_stream_Hopper", "encode_vectors_Hopper"} <= set(usage_of(path, "90a"))
    (kept,) = (tmp_path / "popsparse_py").iterdir()
    monkeypatch.setattr(Nvrtc, "compile", lambda *_: pytest.fail("compiled again"))
    assert module_for("kernels_encode.cu", facts) == cubin == kept.read_bytes()
    with pytest.raises(pytest.fail.Exception, match="compiled again"):
        module_for("kernels_encode.cu", {**facts, "minor": 3})


def test_what_nvrtc_refuses_is_said_in_its_words() -> None:
    library = find_nvrtc()
    if library is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc")
    with pytest.raises(
        TargetUnavailableError, match=r"NVRTC [\d.]+ refused the kernels \(6\): one.cu\(1\): error: this"
    ):
        Nvrtc(library).compile("one.cu", {"one.cu": "no;"}, ["--gpu-architecture=sm_90a"])
