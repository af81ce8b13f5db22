"""The cascade of Nemotron-Cascade 2 in miniature: eight domains, a toy model, two cores.

SFT -> IF-RL -> multi-domain RL -> MOPD -> RLHF -> long-context RL -> code RL -> SWE RL, and MOPD
once more if something was forgotten in the end. Every domain has a mini task set; the fine-tuning
gives the toy each skill together with a habit of mistakes, which the stages then take away. What is
measured is the mean reward at temperature 1 on problems that no stage trains on.
"""

from __future__ import annotations

from typing import Any

from cascade.envs.tasksets import MiniSource
from cascade.trainer.cascade import Cascade, CascadeStage, InsertStage
from cascade.trainer.collect import TrainEnv
from cascade.trainer.grpo import GrpoStage
from cascade.trainer.heldout import HeldOut
from cascade.trainer.losses import Grpo
from cascade.trainer.mopd import MopdStage
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.sft_stage import SftStage
from cascade.trainer.toy_domains import DOMAINS, DomainSolutions, DomainToy
from cascade.types import SamplingParams

# Domain -> tasks to train on, held-out tasks. The sandbox runs those of code and repair.
SIZES = {
    "instructions": (400, 100), "choice": (450, 100), "tool_calling": (600, 100),
    "structured_output": (600, 100), "preference": (300, 70), "long_context": (1000, 100),
    "code": (280, 40), "repair": (700, 40),
}  # fmt: skip


def train_env(kind: str, **changes: Any) -> TrainEnv:
    """Return the train split of a domain."""
    tasks = MiniSource(kind=kind, split="train", size=SIZES[kind][0])
    # In training the answers of a group are compared with each other, not with the stored one.
    options = {"against": "group"} if kind == "preference" else {}
    return TrainEnv(env=DOMAINS[kind], tasks=tasks, name=kind, options=options, **changes)


def held_out(kind: str) -> HeldOut:
    """Return the test split of a domain."""
    tasks = MiniSource(kind=kind, split="test", size=SIZES[kind][1])
    return HeldOut(name=kind, env=DOMAINS[kind], tasks=tasks, max_tokens=32)


def rl(name: str, *envs: TrainEnv, **changes: Any) -> CascadeStage:
    """Return a stage of GRPO that learns the domains of `envs`."""
    settings: dict[str, Any] = {
        "name": name, "envs": envs, "steps": 40, "groups": 16, "group_size": 8, "max_waves": 2,
        "sampling": SamplingParams(max_tokens=32),
        "optimizer": OptimizerConfig(peak_learning_rate=3e-4, warmup_steps=2),
    }  # fmt: skip
    return CascadeStage(
        stage=GrpoStage(**settings | changes), learns=tuple(env.domain for env in envs)
    )


def mopd(*kinds: str, **changes: Any) -> MopdStage:
    """Return a stage of MOPD: each domain's best checkpoint so far is its teacher."""
    settings: dict[str, Any] = {
        "envs": tuple(train_env(kind) for kind in kinds), "steps": 40, "groups": 64,
        "group_size": 1, "sampling": SamplingParams(max_tokens=32),
        "optimizer": OptimizerConfig(
            peak_learning_rate=3e-4, initial_learning_rate=3e-5, warmup_steps=5
        ),
    }  # fmt: skip
    return MopdStage(**settings | changes)


def recipe() -> Cascade:
    """Return the cascade; ``--set if_rl.stage.steps=80`` and the like change single fields."""
    multi = tuple(
        train_env(kind, share=share)
        for kind, share in (("choice", 0.55), ("tool_calling", 0.30), ("structured_output", 0.15))
    )
    # Code and repair have stages of their own to come, and judges that take a sandbox.
    early = tuple(kind for kind in SIZES if kind not in ("code", "repair"))
    return Cascade(
        name="tiny cascade",
        model=DomainToy(),
        domains=tuple(held_out(kind) for kind in SIZES),
        stages=(
            CascadeStage(
                stage=SftStage(
                    data=DomainSolutions(), steps=4000, row_tokens=256, batch_rows=4,
                    peak_learning_rate=4e-3, weight_decay=1.0,
                )
            ),
            rl("if_rl", train_env("instructions"), overlong="zero"),
            rl("multi_domain", *multi, overlong="filtered"),
            CascadeStage(
                stage=mopd(*early),
                learns=early,
                rival=rl("grpo", *map(train_env, early)).stage,
            ),
            rl("rlhf", train_env("preference"), loss=Grpo(kl_coefficient=0.03), max_waves=1),
            rl("long_context", train_env("long_context"), overlong="filtered"),
            rl("code", train_env("code"), groups=8, steps=20, overlong="filtered"),
            CascadeStage(
                stage=rl("swe", train_env("repair"), groups=8, steps=20).stage,
                learns=("repair",),
                gate=InsertStage(mopd(*SIZES, steps=80, groups=128), tolerance=0.03),
            ),
        ),
        checkpoint_every=20,
        threads=1,
    )  # fmt: skip
