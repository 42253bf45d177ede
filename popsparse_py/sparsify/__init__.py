"""Whole models: linear layers made block-sparse and dense again, and a table that says where that is faster."""

from .config import BlockSparseConfig
from .load import load_pruned_
from .plan import ModelPlan, plan_model
from .replace import densify_, sparsify_

__all__ = ["BlockSparseConfig", "ModelPlan", "densify_", "load_pruned_", "plan_model", "sparsify_"]
