"""Measured plans, and the file that keeps them: whatever happens to it, a plan comes out."""

import json
import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import popsparse_py as ps
from popsparse_py import _core, tuning
from popsparse_py.backends.cpu import CpuBackend
from popsparse_py.tuning_cache import SCHEMA, TuningCache, TuningCacheWarning, default_path

RNG = np.random.default_rng(0)


def matrix(block_size: int = 16, dtype: str = "float32") -> ps.BlockSparseMatrix:
    pattern = ps.BlockPattern.random((128, 96), density=0.3, block_size=block_size)
    values = RNG.standard_normal((pattern.nnz_blocks, block_size, block_size)).astype(dtype)
    return ps.BlockSparseMatrix(pattern, values)


@pytest.mark.parametrize("block_size", [1, 4, 16])
@pytest.mark.parametrize("by_rows", [False, True])
def test_tuned_plan_multiplies_and_is_found_again(tmp_path: Path, block_size: int, by_rows: bool) -> None:
    cache, a = TuningCache(tmp_path / "new" / "tuning.json"), matrix(block_size)
    plan = tuning.tune(a, 40, by_rows=by_rows, cache=cache, seconds=0)
    assert plan.cost.total_seconds > 0
    x = RNG.standard_normal((96, 40)).astype(np.float32)
    y = ps.linear(x.T, a, plan=plan).T if by_rows else ps.spmm(a, x, plan=plan)
    assert np.allclose(y, np.asarray(a.to_dense(), dtype=np.float64) @ x, atol=1e-4)
    (key,) = json.loads(cache.path.read_text())["entries"]
    entry = cache.get(key)
    assert 0 < entry["seconds"] <= entry["default_seconds"]
    other = replace(plan.schedule, panel_columns=48, by_rows=False)
    cache.put(key, {**entry, "schedule": asdict(other)})
    assert tuning.tune(a, 40, by_rows=by_rows, cache=cache, seconds=0).schedule == other


def test_every_candidate_is_one_that_the_kernels_have() -> None:
    most = _core.cpu_tier_facts("")["max_vectors"]
    for block_size, n in ((1, 64), (3, 5), (4, 1), (16, 1024), (32, 7)):
        plan = CpuBackend().plan(ps.BlockPattern.random((96, 96), density=0.5, block_size=block_size), n, "float32")
        found = tuning.candidates(plan, most)
        assert found[0] == plan.schedule
        assert 3 < len(found) == len(set(found)) < 16
        for one in found:
            assert 1 <= one.tile_vectors <= most[one.tile_rows]


@pytest.mark.parametrize(
    "schedule", [{"tile_rows": 3}, {"tile_rows": 4, "tile_vectors": 64}, {"panel_columns": -1}, {"unknown": 1}]
)
def test_entry_that_no_kernel_can_run_is_measured_anew(tmp_path: Path, schedule: Any) -> None:
    cache, a = TuningCache(tmp_path / "tuning.json"), matrix()
    plan = tuning.tune(a, 40, cache=cache, seconds=0)
    (key,) = json.loads(cache.path.read_text())["entries"]
    cache.put(key, {"schedule": {**asdict(plan.schedule), **schedule}, "seconds": 1.0})
    again = tuning.tune(a, 40, cache=cache, seconds=0)
    assert again.schedule in tuning.candidates(plan, _core.cpu_tier_facts("")["max_vectors"])
    assert cache.get(key)["seconds"] < 1.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no such file, or only a part of one"),
        (b"{", "it is no such file, or only a part of one"),
        (b"[]", "it is no such file, or only a part of one"),
        (b"\xff\xfe", "can't decode byte"),
        (b'{"schema": "other", "checksum": "", "entries": {}}', "its schema is 'other', expected"),
        (b'{"schema": "%s", "checksum": "0", "entries": {}}' % SCHEMA.encode(), "its checksum does not fit"),
        (b'{"schema": "%s", "checksum": "0", "entries": 3}' % SCHEMA.encode(), "its checksum does not fit"),
    ],
)
def test_broken_file_is_ignored_and_made_anew(tmp_path: Path, content: bytes, reason: str) -> None:
    cache = TuningCache(tmp_path / "tuning.json")
    cache.path.write_bytes(content)
    with pytest.warns(TuningCacheWarning, match=reason):
        assert cache.get("key") is None
    with pytest.warns(TuningCacheWarning, match="it will be made anew"):
        cache.put("key", {"value": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.get("key") == {"value": 1}


def test_every_cut_and_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    cache = TuningCache(tmp_path / "tuning.json")
    cache.put("key", {"value": 12})
    whole = cache.path.read_bytes()
    spoilt = [whole[:length] for length in range(0, len(whole) - 1, 7)]
    spoilt += [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(0, len(whole), 5)]
    for content in spoilt:
        cache.path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TuningCacheWarning)
            assert cache.get("key") in (None, {"value": 12})


def test_folder_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = TuningCache(tmp_path / "file" / "tuning.json")
    with pytest.warns(TuningCacheWarning, match="cannot be written"):
        cache.put("key", {"value": 1})


PUT_MANY = """
import sys
from pathlib import Path
from popsparse_py.tuning_cache import TuningCache
for i in range(int(sys.argv[2]), int(sys.argv[2]) + 20):
    TuningCache(Path(sys.argv[1])).put(str(i), {"value": i})
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="this system has no flock")
    path = str(tmp_path / "tuning.json")
    starts = (0, 100, 500)
    workers = [subprocess.Popen([sys.executable, "-c", PUT_MANY, path, str(start)]) for start in starts]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    found = TuningCache(Path(path))
    assert [found.get(str(i)) for s in starts for i in range(s, s + 20)] == [
        {"value": i} for s in starts for i in range(s, s + 20)
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tuning.json", "tuning.json.lock"]


def test_plan_takes_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "popsparse_py" / "cpu_tuning.json"
    plan = ps.plan(matrix(), 16, target="cpu", tuned=True)
    assert default_path().exists()
    assert ps.plan(matrix().pattern, 16, target="cpu", tuned=True).schedule == plan.schedule
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_path().parts[-3:] == (".cache", "popsparse_py", "cpu_tuning.json")
    with pytest.raises(ps.PlanError, match="tuned=True measures this computer's processor"):
        ps.plan(matrix(), 16, tuned=True)
