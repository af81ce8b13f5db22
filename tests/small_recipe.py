"""A recipe small enough for tests: two fine-tuning steps, then GRPO on a random model."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from cascade.envs.base import TextEnv, Turn
from cascade.envs.tasksets import MiniSource
from cascade.trainer.collect import TrainEnv
from cascade.trainer.grpo import Evaluation, GrpoStage
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.recipe import Recipe
from cascade.trainer.samplers import TorchSampling
from cascade.trainer.sft_stage import MiniSolutions, SftStage
from cascade.trainer.toy import FreshToy, ToyConfig
from cascade.types import SamplingParams, Task, Verdict


class CoinEnv(TextEnv):
    """Two turns; the digest of the second message decides, so that any model is right at times."""

    default_tasks: ClassVar[str] = "mini_arithmetic"

    def __init__(self, tasks: Any = None, **options: Any) -> None:
        super().__init__(tasks, max_turns=2, **options)

    def respond(self, text: str) -> Turn:
        """Ask once more, then judge."""
        if self._turns == 0:
            return Turn(messages=({"role": "user", "content": "Are you sure?"},))
        lucky = hashlib.sha256(text.encode()).digest()[0] % 4 == 0
        return Turn(verdict=Verdict.correct(text) if lucky else Verdict.wrong(text))

    def oracle_response(self, task: Task) -> None:
        """Nothing is known to be right."""

    def wrong_response(self, task: Task) -> None:
        """Nor to be wrong."""


def recipe() -> Recipe:
    """Return the two stages: six steps in all, with a checkpoint after each second one."""
    return Recipe(
        name="small",
        model=FreshToy(
            ToyConfig(
                hidden_size=32, num_heads=2, num_experts=4, expert_size=16, max_length=256,
                initializer_range=0.3,
            )
        ),
        stages=(
            SftStage(data=MiniSolutions(count=60), steps=2, row_tokens=128, batch_rows=2),
            GrpoStage(
                steps=4,
                envs=(TrainEnv(env=CoinEnv, tasks=MiniSource(kind="arithmetic", size=40)),),
                groups=3,
                group_size=4,
                sampling=SamplingParams(max_tokens=5),
                engine=TorchSampling(max_batch=8),
                optimizer=OptimizerConfig(peak_learning_rate=1e-2),
                evaluation=Evaluation(
                    env=TrainEnv(env=CoinEnv, tasks=MiniSource(kind="arithmetic", size=4)), every=2
                ),
            ),
        ),
        checkpoint_every=3,
        record_every=1,
        threads=1,
    )  # fmt: skip
