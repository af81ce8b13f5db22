"""Answers compared with a baseline's by a judge, as Arena-Hard and MT-Bench do."""

from cascade.envs.pairwise.env import PairwiseEnv
from cascade.envs.pairwise.protocols import PAIR_PROTOCOLS, Game, PairProtocol

__all__ = ["PAIR_PROTOCOLS", "Game", "PairProtocol", "PairwiseEnv"]
