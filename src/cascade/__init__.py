"""Cascade: reinforcement learning on tasks that a program can check.

The parts are `cascade.verifiers` (text in, verdict out), `cascade.sandboxes` (untrusted
programs), `cascade.envs` (Gymnasium environments and rollouts), `cascade.evals` (benchmark
suites) and `cascade.trainer` (SFT, GRPO, MOPD). Importing this package starts nothing and loads
none of them.
"""

__version__ = "0.1.0"
