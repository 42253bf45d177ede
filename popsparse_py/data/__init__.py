"""Data that ships with the package; README.md beside it says where each file comes from."""

from __future__ import annotations

from pathlib import Path

DEMO_TENSOR = "encoder.layer.0.intermediate.dense.weight"


def demo_weight_path() -> Path:
    """The safetensors file with DEMO_TENSOR: float16 (1536, 384), a feed-forward weight of all-MiniLM-L6-v2."""
    return Path(__file__).with_name("minilm_intermediate.safetensors")
