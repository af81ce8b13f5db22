"""A 2.5 M-parameter Mixture-of-Experts learns to think before it answers, on two cores.

The start is fine-tuned on conversations of a hurried teacher, who writes the working of a sum in
one of three and is then right, and else guesses without any. So the model answers right in a fifth
to a third of its samples. The reward alone tells GRPO, on the train split, that working pays. What
is evaluated are samples at temperature 1 on held-out problems, which neither stage has seen (test
split of `cascade.envs.mini`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.envs.mini import mini_task, solution
from cascade.envs.tasksets import MiniSource
from cascade.trainer.collect import TrainEnv
from cascade.trainer.grpo import Evaluation, GrpoStage
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.recipe import Recipe
from cascade.trainer.samplers import TorchSampling
from cascade.trainer.sft import Example, encode_conversations
from cascade.trainer.sft_stage import SftStage
from cascade.trainer.toy import FreshToy, ToyConfig, ToyLessons
from cascade.types import Message, SamplingParams

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class HurriedTeacher:
    """Conversations, one in three with the working and right, the others a guess; and bare sums."""

    conversations: int = 4000
    sums: int = 16_000
    careful: float = 1 / 3
    seed: int = 0

    def load(self, tokenizer: PreTrainedTokenizerFast) -> list[Example]:
        """Generate the examples; their problems are of the train split."""
        sums = ToyConfig(num_conversations=0, num_drills=0, num_sums=self.sums, seed=self.seed)
        told = [self._conversation(index) for index in range(self.conversations)]
        return [*encode_conversations(tokenizer, told), *ToyLessons(sums).load(tokenizer)]

    def _conversation(self, index: int) -> tuple[Message, ...]:
        task = mini_task("arithmetic", self.seed, index, split="train")
        rng = random.Random(f"{self.seed}/{index}")
        text = solution(task)
        if rng.random() >= self.careful:
            guess = abs(int(task.reference) + rng.choice((-4, -3, -2, -1, 1, 2, 3, 4)))
            text = f"<think>\n</think>\n\\boxed{{{guess}}}"
        return (*task.messages, {"role": "assistant", "content": text})


def recipe() -> Recipe:
    """Return the recipe; ``--set`` changes single fields."""
    train = MiniSource(kind="arithmetic", split="train", size=400)
    held_out = MiniSource(kind="arithmetic", split="test", size=100)
    return Recipe(
        name="tiny math",
        model=FreshToy(ToyConfig(num_experts=8, expert_size=384, max_length=512)),
        stages=(
            SftStage(
                data=HurriedTeacher(),
                steps=1500,
                row_tokens=128,
                batch_rows=4,
                peak_learning_rate=4e-3,
                weight_decay=1.0,
            ),
            GrpoStage(
                steps=150,
                envs=(TrainEnv(env="cascade/Math-v0", tasks=train),),
                groups=16,
                group_size=8,
                max_waves=1,
                sampling=SamplingParams(max_tokens=32),
                engine=TorchSampling(max_batch=128),
                optimizer=OptimizerConfig(peak_learning_rate=2e-4, warmup_steps=5),
                evaluation=Evaluation(
                    env=TrainEnv(env="cascade/Math-v0", tasks=held_out), every=10
                ),
            ),
        ),
        checkpoint_every=100,
        threads=1,
    )
