"""Settings of the tests of programs and of the embedded model."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "planner")]  # helpers: products, static_cases

settings.register_profile("ipu", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("ipu")


@pytest.fixture(autouse=True)
def ipu_profile():
    """The folder's own hypothesis profile, whichever folder pytest loaded last."""
    settings.load_profile("ipu")
