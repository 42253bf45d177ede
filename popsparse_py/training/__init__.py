"""Training that changes the pattern: RigL, SET, gradual magnitude pruning, and densities by layer. Needs torch."""

from .criteria import block_scores
from .densities import erk_densities
from .gradual import GradualMagnitude
from .replace import SET, RigL
from .topology import TopologyTrainer, Update

__all__ = ["SET", "GradualMagnitude", "RigL", "TopologyTrainer", "Update", "block_scores", "erk_densities"]
