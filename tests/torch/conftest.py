"""Tests of what stands on PyTorch."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")
