"""Settings of the planner tests; they need NumPy, pytest and hypothesis only."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # helpers such as published_draw

settings.register_profile("planner", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("planner")
