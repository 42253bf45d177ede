"""What the balanced static plan does differently from the published partitioner, idea by idea."""

from __future__ import annotations

from typing import Dict

IDEAS: Dict[str, str] = {
    "own grid": "parts of n and bands of k searched under the model, not taken from the published partitioner",
    "resident values": "each tile keeps the values it multiplies instead of receiving them on every call",
    "worker split": "rows of single nonzeros dealt to a tile's workers longest first (b = 1)",
    "whole rows": "tiles take whole rows, packed by their cycles, so that fewer rows are shared",
    "homes by parts": "X lives with the part of n that takes it, Y on the tiles that sum it: no sum moves home",
    "paired tiles": "two neighbours take the same slices of X in one stream of twice the rate",
    "merged blocks": "neighbouring blocks multiplied as one larger block, with zeros between, where that is faster",
    "place of sums": "partials summed where Y lives or where they are made, whichever is cheaper",
}
