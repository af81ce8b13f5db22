"""Tool calls: published rollouts and their rewards."""

from cascade.evals.verify import Expected, GoldenSet, Rescore

SETS = (
    GoldenSet(
        name="nemo_gym/next_step",
        source="NVIDIA-NeMo/Gym at 07d6b0d, single_step_tool_use_with_argument_comparison",
        files=("nemo_gym_rollouts/single_step_tool_use_with_argument_comparison.jsonl.gz",),
        measure=Rescore(task="tool_calling", format="nemo_gym"),
        expected=(Expected("problems", 5), Expected("same", 5), Expected("score", 60.0)),
    ),
)
