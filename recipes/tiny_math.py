"""A 2.5 M-parameter Mixture-of-Experts learns to trust its own sums, in minutes on two cores.

Fine-tuning shows it bare sums, which are right, and conversations with a careless teacher, who is
off by up to three in seven of ten. So it can add, but in a conversation answers right in about a
quarter of its samples. The reward alone tells GRPO, on the train split, which answers pay. What is
evaluated are samples at temperature 1 on held-out problems, which neither stage has seen (test
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
class CarelessTeacher:
    """Bare sums, and conversations of which only some end in the right answer."""

    conversations: int = 4000
    sums: int = 32_000
    right: float = 0.3
    seed: int = 0

    def load(self, tokenizer: PreTrainedTokenizerFast) -> list[Example]:
        """Generate the examples; their problems are of the train split."""
        sums = ToyConfig(num_conversations=0, num_drills=0, num_sums=self.sums, seed=self.seed)
        told = [self._conversation(index) for index in range(self.conversations)]
        return [*encode_conversations(tokenizer, told), *ToyLessons(sums).load(tokenizer)]

    def _conversation(self, index: int) -> tuple[Message, ...]:
        task = mini_task("arithmetic", self.seed, index, split="train")
        rng = random.Random(f"{self.seed}/{index}")
        text, answer = solution(task), int(task.reference)
        if rng.random() >= self.right:
            wrong = abs(answer + rng.choice((-3, -2, -1, 1, 2, 3)))
            text = text.replace(f"={answer}\n", f"={wrong}\n")
            text = text.replace(f"{{{answer}}}", f"{{{wrong}}}")
        return (*task.messages, {"role": "assistant", "content": text})


def recipe() -> Recipe:
    """Return the recipe; ``--set`` changes single fields."""
    train = MiniSource(kind="arithmetic", split="train", size=480)
    held_out = MiniSource(kind="arithmetic", split="test", size=128)
    return Recipe(
        name="tiny math",
        model=FreshToy(ToyConfig(num_experts=12, expert_size=256, max_length=512)),
        stages=(
            SftStage(
                data=CarelessTeacher(),
                steps=2300,
                row_tokens=128,
                batch_rows=8,
                peak_learning_rate=4e-3,
                weight_decay=1.0,
            ),
            GrpoStage(
                steps=160,
                envs=(TrainEnv(env="cascade/Math-v0", tasks=train),),
                groups=16,
                group_size=8,
                max_waves=1,
                sampling=SamplingParams(max_tokens=32),
                engine=TorchSampling(max_batch=128),
                optimizer=OptimizerConfig(
                    peak_learning_rate=2e-4,
                    warmup_steps=5,
                    decay_steps=155,
                    final_learning_rate=1e-5,
                ),
                evaluation=Evaluation(
                    env=TrainEnv(env="cascade/Math-v0", tasks=held_out), every=20, samples=2
                ),
            ),
        ),
        checkpoint_every=100,
        threads=1,
    )
