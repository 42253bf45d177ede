"""Writes the golden report anew; run from a checkout with PYTHONPATH=planner."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from test_report import GOLDEN, small_plan

GOLDEN.write_text(f"{small_plan().report().to_json()}\n", encoding="utf-8")
