"""Tests of target "cpu"."""

import pytest

pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")
