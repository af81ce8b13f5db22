"""A 2.5 M-parameter Mixture-of-Experts learns sums and differences, in minutes on two cores.

A short fine-tuning shows the model the form of an answer and leaves it right about a third of the
time; GRPO on the train split does the rest. The held-out problems are of the test split of
`cascade.envs.mini`: no problem is in both.
"""

from cascade.envs.tasksets import MiniSource
from cascade.trainer.collect import TrainEnv
from cascade.trainer.grpo import Evaluation, GrpoStage
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.recipe import Recipe
from cascade.trainer.sft_stage import MiniSolutions, SftStage
from cascade.trainer.toy import FreshToy, ToyConfig
from cascade.types import SamplingParams


def recipe() -> Recipe:
    """Return the recipe; ``--set`` changes single fields."""
    train = MiniSource(kind="arithmetic", split="train", size=400)
    held_out = MiniSource(kind="arithmetic", split="test", size=100)
    return Recipe(
        name="tiny math",
        model=FreshToy(ToyConfig(num_experts=16, max_length=512)),
        stages=(
            SftStage(
                data=MiniSolutions(count=4000),
                steps=150,
                row_tokens=128,
                batch_rows=8,
                peak_learning_rate=3e-3,
                final_learning_rate=3e-4,
                weight_decay=0.1,
            ),
            GrpoStage(
                steps=150,
                envs=(TrainEnv(env="cascade/Math-v0", tasks=train),),
                groups=32,
                group_size=8,
                max_waves=1,
                sampling=SamplingParams(max_tokens=32),
                optimizer=OptimizerConfig(peak_learning_rate=5e-4, warmup_steps=5),
                evaluation=Evaluation(
                    env=TrainEnv(env="cascade/Math-v0", tasks=held_out), every=10, samples=4
                ),
            ),
        ),
        checkpoint_every=50,
        threads=1,
    )
