"""A 2.5 M-parameter Mixture-of-Experts learns sums and differences, in minutes on two cores.

The start is fine-tuned on bare sums, which are right, and on conversations of a sloppy teacher,
who is off by one in two of three. So the model can add, but answers right in about a third of its
samples. The reward alone tells it which: GRPO on the train split takes it to over nine in ten on
the held-out problems, which neither stage has seen (the test split of `cascade.envs.mini`).
"""

import random
from dataclasses import dataclass

from cascade.envs.mini import mini_task
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


@dataclass(frozen=True, slots=True)
class SloppyTeacher:
    """Conversations whose working and answer are off by one in two of three, and bare sums."""

    conversations: int = 4000
    sums: int = 12_000
    seed: int = 0

    def load(self, tokenizer: object) -> list[Example]:
        """Generate the examples; their problems are of the train split."""
        right = ToyConfig(num_conversations=0, num_drills=0, num_sums=self.sums, seed=self.seed)
        told = [self._conversation(index) for index in range(self.conversations)]
        return [*encode_conversations(tokenizer, told), *ToyLessons(right).load(tokenizer)]

    def _conversation(self, index: int) -> tuple[Message, ...]:
        task = mini_task("arithmetic", self.seed, index, split="train")
        sum_, result = str(task.metadata["work"]).split("=")
        slip = random.Random(f"{self.seed}/{index}").choice((-1, 0, 1))
        answer = abs(int(result) + slip)
        text = f"<think>\n{sum_}={answer}\n</think>\n\\boxed{{{answer}}}"
        return (*task.messages, {"role": "assistant", "content": text})


def recipe() -> Recipe:
    """Return the recipe; ``--set`` changes single fields."""
    train = MiniSource(kind="arithmetic", split="train", size=400)
    held_out = MiniSource(kind="arithmetic", split="test", size=100)
    return Recipe(
        name="tiny math",
        model=FreshToy(ToyConfig(num_experts=16, max_length=512)),
        stages=(
            SftStage(
                data=SloppyTeacher(),
                steps=1000,
                row_tokens=128,
                batch_rows=4,
                peak_learning_rate=4e-3,
                weight_decay=1.0,
            ),
            GrpoStage(
                steps=100,
                envs=(TrainEnv(env="cascade/Math-v0", tasks=train),),
                groups=16,
                group_size=8,
                max_waves=1,
                sampling=SamplingParams(max_tokens=32),
                engine=TorchSampling(max_batch=128),
                optimizer=OptimizerConfig(peak_learning_rate=5e-4, warmup_steps=5),
                evaluation=Evaluation(
                    env=TrainEnv(env="cascade/Math-v0", tasks=held_out), every=10
                ),
            ),
        ),
        checkpoint_every=100,
        threads=1,
    )
