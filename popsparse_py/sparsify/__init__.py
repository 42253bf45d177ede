"""Whole models: linear layers made block-sparse and dense again, and a table that says where that is faster."""

from .config import BlockSparseConfig
from .plan import ModelPlan, plan_model
from .replace import densify_, sparsify_

__all__ = ["BlockSparseConfig", "ModelPlan", "densify_", "plan_model", "sparsify_"]
