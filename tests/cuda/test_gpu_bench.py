"""The measurements for a machine with a GPU: their stages on the emulated one with a clock of their own, and what they
say where there is no GPU.
"""

import json
import stat
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List

import numpy as np
import pytest
from cuda.emulated import Emulated
from typer.testing import CliRunner

from popsparse_planner import BlockPattern
from popsparse_py import BlockSparseMatrix
from popsparse_py.backends.cuda import CudaBackend
from popsparse_py.bench import (
    gpu,
    gpu_correctness,
    gpu_goals,
    gpu_peers,
    gpu_stages,
    gpu_timing,
    gpu_tools,
    readme_gpu,
    result_tables,
)
from popsparse_py.bench.__main__ import app
from popsparse_py.cli.app import app as command_line
from popsparse_py.ops import targets


def poisoned(emulated: Emulated, kind: Any = gpu_correctness.PoisonedDevice) -> CudaBackend:
    emulated.device("Hopper", 1)
    return CudaBackend(device=kind(emulated.path, 0, kernels=b"emulated"))


def test_every_kernel_is_checked(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_correctness, "_SHAPE", (50, 150))
    found = gpu_correctness.check_kernels(poisoned(emulated), (4, 16), (6,), seed=1)
    assert all(one.is_right for one in found), [one.to_dict() for one in found if not one.is_right]
    names = {(one.product, one.block_size, one.dtype) for one in found}
    assert {("decode", 16, "float16"), ("rows transposed", 16, "float16"), ("vectors", 4, "float16")} <= names
    assert {("elements transposed", 4, "float32"), ("sampled", 16, "float32")} <= names
    assert ("writes behind the end", 16, "float16") in names
    assert {("rows", 16, "tf32"), ("vectors transposed", 4, "tf32")} <= names
    assert {
        ("rows encoded", 16, "float16"),
        ("vectors encoded", 4, "float16"),
        ("elements encoded", 4, "float32"),
    } <= names
    json.dumps([one.to_dict() for one in found], allow_nan=False)


def test_what_is_not_written_or_written_behind_the_end_is_found(
    emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Idle(gpu_correctness.PoisonedDevice):
        def launch(self, name: str, grid: Any, product: Any, *rest: Any, **named: Any) -> None:
            for one in (one for one in self._guarded if one.pointer == product[2]):  # Y
                self.native.upload(one.pointer + one.num_bytes, np.zeros(1, np.uint8), 0)

    monkeypatch.setattr(gpu_correctness, "_SHAPE", (50, 150))
    found = gpu_correctness.check_kernels(poisoned(emulated, Idle), (16,), (6,), seed=1)
    assert not any(one.is_right for one in found)
    assert {one.product for one in found} >= {"rows", "sampled", "writes behind the end"}


def test_the_stage_of_correctness_says_what_is_wrong(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_correctness, "_SHAPE", (50, 150))
    monkeypatch.setattr(gpu_stages, "BLOCK_SIZES", (16,))
    monkeypatch.setattr(gpu, "_COLUMNS_CHECKED", (6,))
    monkeypatch.setattr(gpu, "poisoned_backend", lambda: poisoned(emulated))
    monkeypatch.setattr("shutil.which", lambda name: None)
    found = gpu.correctness(0, 0)
    assert found["wrong"] == [] and found["products"] > 8
    assert found["sanitizers"]["memcheck"] == {"absent": "compute-sanitizer is not installed"}
    report = {"failed": {}, "correctness": found}
    assert gpu.problems(report) == []
    found["sanitizers"]["racecheck"] = {"is_clean": False, "says": "2 hazards"}
    found["wrong"].append(gpu_correctness.Checked("rows", 16, "float16", 6, float("inf")).to_dict())
    assert gpu.problems(report) == ["correctness: rows 16 float16", "racecheck: 2 hazards"]


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


class FakeTorch:
    """A torch whose device does one thing a second, and whose graphs refuse calls that raise RuntimeError."""

    def __init__(self) -> None:
        self.clock, self.log, self.capturing = 0.0, [], False  # type: float, List[str], bool
        self.cuda = SimpleNamespace(
            synchronize=lambda: None, Event=self.event, CUDAGraph=self.graph, graph=self.capture
        )

    def ones(self, count: int, device: str) -> Any:
        assert count * 4 >= 150_000_000
        return SimpleNamespace(sum=lambda: self.log.append("drain"))

    def event(self, enable_timing: bool) -> Any:
        event = SimpleNamespace(at=0.0, synchronize=lambda: None)
        event.record = lambda: setattr(event, "at", self.clock)
        event.elapsed_time = lambda end: (end.at - event.at) * 1e3
        return event

    def graph(self) -> Any:
        return SimpleNamespace(replay=None)

    def capture(self, graph: Any) -> Any:
        fake = self

        class Capturing:
            def __enter__(self) -> None:
                fake.capturing, self.start = True, fake.clock

            def __exit__(self, *error: Any) -> None:
                seconds, fake.capturing = fake.clock - self.start, False
                graph.replay = lambda: fake.work("replay", seconds)

        return Capturing()

    def work(self, name: str, seconds: float) -> None:
        self.log.append(name)
        self.clock += seconds


def test_calls_are_timed_in_turns_out_of_cold_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = FakeTorch()
    monkeypatch.setattr(gpu_timing, "import_module", lambda name: torch)

    def eager(x: Any) -> None:
        if torch.capturing:
            raise RuntimeError("operation not permitted when stream is capturing")
        torch.work("eager", 5.0)

    found = gpu_timing.race({"a": (lambda x: torch.work("a", x), [1.0, 2.0, 3.0]), "b": (eager, [None])})
    assert found.to_dict() == {"seconds": {"a": 2.0, "b": 5.0}, "eager": ["b"]}
    rounds = torch.log[torch.log.index("drain") :]
    assert rounds == ["drain", "replay", "drain", "eager"] * 30
    torch.log.clear()
    assert gpu_timing.warm_seconds_of(lambda: torch.work("a", 1.0), 50) == 1.0
    assert "drain" not in torch.log


def fake_race(candidates: Dict[str, Any]) -> gpu_timing.Race:
    """Every call once with every operand; seconds that say nothing."""
    for call, operands in candidates.values():
        for x in operands:
            call(x)
    return gpu_timing.Race({name: 1e-4 * (i + 1) for i, name in enumerate(candidates)}, [])


@pytest.fixture
def on_emulator(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stages find the emulated GPU, which takes this process's tensors for its own, and a clock that stands."""
    pytest.importorskip("torch", reason="torch is not installed")
    device = emulated.device("Hopper", 3)
    monkeypatch.setattr(gpu_timing, "DEVICE", "cpu")
    monkeypatch.setattr(gpu_timing, "device_of", lambda tensor: device)
    monkeypatch.setattr(gpu_timing, "copies_for", lambda num_bytes: 2)
    monkeypatch.setattr(gpu_timing, "race", fake_race)
    monkeypatch.setattr(gpu_timing, "host_seconds_of", lambda call: call() is not None and 5e-6)
    cells = ((16, Fraction(7, 20)), (16, Fraction(1, 4)), (16, Fraction(1, 16)))
    monkeypatch.setattr(gpu_stages, "DYNAMIC", cells)
    monkeypatch.setattr(gpu_stages, "GRID", ((16, Fraction(1, 4)), (4, Fraction(1, 4)), (16, Fraction(1, 2))))
    monkeypatch.setattr(
        gpu,
        "machine",
        lambda backend: {"device": {"name": "emulated"}, "date": "2000-01-01", "packages": {"torch": "0"}},
    )
    monkeypatch.setattr(gpu, "CudaBackend", lambda: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    emulated.trust(True)
    yield
    emulated.trust(False)


@pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state")
def test_stages_write_what_the_goals_ask_for(
    on_emulator: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gpu_peers.PEERS, "blksprs", gpu_peers.dense)
    out, stages = (
        tmp_path / "gpu.json",
        ["timing", "training", "dynamic", "decode", "skew", "float32", "auto", "host", "counters"],
    )
    report = gpu.measure(out, stages, 64, 40)
    assert report["failed"] == {} and gpu.problems(report) == []
    assert json.loads(out.read_text()) == report
    first, last = report["timing"][0], report["timing"][-1]
    assert set(first["seconds"]) == {"popsparse", "dense", "blksprs"}
    assert first["plan"]["kernel"] == "rows" and first["plan"]["l2_bytes"] > 0
    assert "2 of 4 is measured where half" in first["absent"]["cusparselt"]
    assert "2 of 4 is measured where half" not in last["absent"]["cusparselt"]  # at density 1/2 it is tried
    assert first["absent"]["cusparse_bsr"].startswith("TargetUnavailableError: cuSPARSE cannot be used")
    assert report["counters"] == [{"absent": "ncu is not installed"}]
    silent = {goal.name for goal in gpu_goals.GOALS if goal.is_met(report) is None}
    assert silent == {"the same, 1/16, n = 16: share of the rate of a copy"}  # which needs the ceilings
    report["ceilings"] = {"copy_bytes_per_second": 1e12}
    assert all(goal.is_met(report) is not None for goal in gpu_goals.GOALS)
    lines = readme_gpu.measured_lines(report)
    assert "| 16 | 2.00 / 1.7 | failed / 2.6 | failed / 3.6 | failed / 5 | failed / 7 |" in lines
    assert "| auto: time over that of dense | at most 1.05 | 0.50 |" in lines
    for module in (readme_gpu, result_tables):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    out.write_text(json.dumps(report))
    shown = readme_gpu.with_gpu_table(f"before\n{readme_gpu.BEGIN}\nold\n{readme_gpu.END}\nafter\n")
    assert shown == "\n".join(["before", readme_gpu.BEGIN, *lines, readme_gpu.END, "after\n"])
    assert "Measured on emulated, 2000-01-01, torch 0" in shown
    assert "| b = 16: times faster than torch_bsr_tuned, blksprs, at the least | 2.5 | 3.00 |" in lines
    assert "| b = 128: times faster than torch_bsr_tuned, blksprs, stk, at the least | 1.4 | not measured |" in lines


def test_a_stage_that_fails_is_written_and_the_others_run(
    on_emulator: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(pattern: Any, values: Any, n: int, dtype: str) -> Any:
        return (lambda x: x[: pattern.shape[0]] * 0), {}

    monkeypatch.setattr(gpu_stages, "ours", broken)
    monkeypatch.setitem(gpu.STAGES, "ceilings", lambda size, columns: 1 // 0)
    out = tmp_path / "gpu.json"
    words = ["gpu", "--out", str(out), "--stages", "host,ceilings,skew", "--size", "512", "-n", "8"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    report = json.loads(out.read_text())
    assert report["failed"] == {"ceilings": "ZeroDivisionError: integer division or modulo by zero"}
    assert [row["failed"][:32] for row in report["skew"]] == ["WrongResultError: off by 1 of th"] * 6
    assert report["host"]["product_seconds"] == 5e-6
    assert "ceilings: ZeroDivisionError" in done.output and "skew: WrongResultError" in done.output
    assert CliRunner().invoke(app, ["gpu", "--stages", "hots"]).exit_code == 2


@pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state")
def test_peers_that_raise_or_are_wrong_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")

    def raises(w: Any, block_size: int, x: Any) -> Any:
        raise NotImplementedError("no kernel for\nthis")

    zeros = {"raises": raises, "wrong": lambda w, b, x: gpu_peers.Peer(lambda x: w @ x * 1.01)}
    zeros["nan"] = lambda w, b, x: gpu_peers.Peer(lambda x: w @ x * float("nan"))
    zeros["shape"] = lambda w, b, x: gpu_peers.Peer(lambda x: (w @ x).T)
    monkeypatch.setattr(gpu_peers, "PEERS", {**gpu_peers.PEERS, **zeros})
    torch.manual_seed(0)
    w, x = torch.randn(32, 48), torch.randn(48, 8)
    found, absent = gpu_peers.peers_of(w, 16, x)
    assert {"dense", "torch_csr"} <= set(found)
    assert absent["raises"] == "NotImplementedError: no kernel for"
    assert absent["wrong"].startswith("WrongResultError: off by 0.01 of the largest entry")
    assert absent["nan"].startswith("WrongResultError: off by nan")
    assert absent["shape"] == "WrongResultError: the product has shape (8, 32), expected (32, 8)"
    assert absent["stk"] == "ValueError: blocks of 128 only"
    assert absent["blksprs"].startswith("ModuleNotFoundError")


def test_the_tuner_has_so_many_seconds() -> None:
    asked = []
    testing = SimpleNamespace(do_bench=lambda call, **given: asked.append(given) or 1.5)
    whole = testing.do_bench
    with gpu_peers._limited(testing, 1e9):
        assert testing.do_bench(None, warmup=500, rep=100) == 1.5
    with gpu_peers._limited(testing, 0.0):
        assert testing.do_bench(None, warmup=500, rep=100) == float("inf")
    assert asked == [{"warmup": 10, "rep": 30}]
    assert testing.do_bench is whole


def tool(folder: Path, name: str, text: str, code: int = 0) -> None:
    """A program of that name that prints and ends so."""
    (folder / f"{name}.txt").write_text(text)
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$@" > "{folder}/{name}.arguments"\ncat "{folder}/{name}.txt"\nexit {code}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


RAW = """==PROF== Connected to process 1
plan: {"kernel": "rows", "memory_bytes": 1000.0, "l2_bytes": 2000.0, "shared_bytes": 3000.0}
"ID","Kernel Name","dram__bytes.sum","lts__t_bytes.sum","l1tex__data_pipe_lsu_wavefronts_mem_shared.sum"
"","","byte","byte",""
"0","rows16_bfloat16_Hopper","1,024","2048.5","10"
"""


def test_tools_say_what_they_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    tool(tmp_path, "ncu", RAW)
    rows = gpu_tools.counted(512)
    assert [row["block_size"] for row in rows] == [4, 16, 64]
    assert rows[0]["measured"] == {"memory_bytes": 1024.0, "l2_bytes": 2048.5, "shared_bytes": 1280.0}
    assert rows[0]["planned"] == {"memory_bytes": 1000.0, "l2_bytes": 2000.0, "shared_bytes": 3000.0}
    assert "--clock-control none" in (tmp_path / "ncu.arguments").read_text()
    tool(tmp_path, "ncu", "==ERROR== ERR_NVGPUCTRPERM", 1)
    assert gpu_tools.counted(512)[0]["absent"] == "no kernel was counted; ncu: ==ERROR== ERR_NVGPUCTRPERM"
    tool(tmp_path, "compute-sanitizer", "x\n========= ERROR SUMMARY: 0 errors")
    assert gpu_tools.sanitized("memcheck") == {"is_clean": True, "says": "========= ERROR SUMMARY: 0 errors"}
    tool(tmp_path, "compute-sanitizer", "========= ERROR SUMMARY: 2 errors", 9)
    assert gpu_tools.sanitized("racecheck")["is_clean"] is False


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    if targets()["cuda"] is None:
        pytest.skip("this machine has a GPU")
    done = CliRunner().invoke(app, ["gpu", "--out", str(tmp_path / "gpu.json")])
    assert done.exit_code == 1
    assert "install a torch with CUDA" in done.stderr or "target 'cuda' cannot be used" in done.stderr
    assert not (tmp_path / "gpu.json").exists()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--targets", "cuda"], "GPU"),
        (["--targets", "tpu"], "--targets expects cpu, cuda or both, got 'tpu'"),
        (["--targets", "cuda", "--product", "sampled"], "--targets cuda times the product forward, got sampled"),
        (
            ["--targets", "cuda", "--against", "cusparse"],
            "--against: unknown cusparse; expected some of dense, torch_bsr",
        ),
    ],
)
def test_bench_of_cuda_without_a_gpu_is_one_line(words: List[str], wanted: str) -> None:
    if targets()["cuda"] is None:
        pytest.skip("this machine has a GPU")
    done = CliRunner().invoke(command_line, ["bench", "-m", "128", "-n", "64", "-b", "16", "-d", "1/4", *words])
    assert done.exit_code == 2
    assert wanted in " ".join(done.stderr.split())


@pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state")
def test_bench_of_cuda_times_what_is_asked_for(on_emulator: None) -> None:
    words = [
        "bench",
        "--targets",
        "cuda",
        "-m",
        "64",
        "-n",
        "8",
        "-b",
        "16",
        "-d",
        "1/4",
        "--against",
        "dense,torch_csr",
    ]
    done = CliRunner().invoke(command_line, [*words, "--dtype", "float32", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found["timing"][0]["seconds"]) == {"popsparse", "dense", "torch_csr"}
    assert found["timing"][0]["dtype"] == "float32" and found["machine"]["device"] == {"name": "emulated"}
    assert found["verdict"] == "fastest of all on 1 of 1 shapes"


def test_dense_w_is_where_its_values_are() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pattern = BlockPattern.random((12, 20), density=0.5, block_size=4, seed=1)
    values = torch.randn(pattern.nnz_blocks, 4, 4)
    wanted = BlockSparseMatrix(pattern, values.numpy()).to_dense()
    assert np.array_equal(gpu_timing.dense_of(pattern, values).numpy(), wanted)
