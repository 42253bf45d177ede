"""Fixtures: a command line called in this process, and small weights in files."""

import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple

import numpy as np
import pytest

from popsparse_py import BlockSparseMatrix
from popsparse_py.cli import app


class Called(NamedTuple):
    """What one call of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def fields(self) -> Dict[str, Any]:
        """The JSON object on stdout, which must hold nothing else."""
        return json.loads(self.out)


@pytest.fixture
def popsparse(capsys: pytest.CaptureFixture) -> Callable[..., Called]:
    """popsparse("plan", "-m", 64, ...) -> Called, in this process."""

    def call(*words: object) -> Called:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            app([str(word) for word in words], prog_name="popsparse")
        out, err = capsys.readouterr()
        return Called(int(stopped.value.code or 0), out, err)

    return call


@pytest.fixture
def weights(tmp_path: Path) -> Dict[str, Path]:
    """Files by suffix: dense (60, 52) float32 as npy, two named tensors as npz, blocks as safetensors and mtx."""
    rng = np.random.default_rng(7)
    w = rng.standard_normal((60, 52)).astype(np.float32)
    paths = {suffix: tmp_path / f"weights.{suffix}" for suffix in ("npy", "npz", "safetensors", "mtx")}
    np.save(paths["npy"], w)
    np.savez(paths["npz"], up=w, down=w.T.copy())
    sparse = BlockSparseMatrix.from_dense(w.astype(np.float16), 4, density=0.25)
    sparse.save(paths["safetensors"], tensor="ffn.up")
    sparse.save(paths["mtx"])
    return paths


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Dict[str, str]:
    """Variables for a subprocess that finds the packages where this process does."""
    import os

    folders = [path for path in sys.path if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "COLUMNS": "100", "TERM": "xterm"}
