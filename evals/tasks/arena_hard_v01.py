"""Arena-Hard v0.1."""

from cascade.envs.pairwise.sources import ARENA_HARD_V01
from cascade.evals.arena import WIN_RATE
from cascade.evals.task import EvalTask, JudgeProtocol, Protocol, Published
from cascade.types import SamplingParams

_BOARD = "lmarena/arena-hard-auto at 196f6b8, leaderboard of 2024-07-31"

TASK = EvalTask(
    name="arena_hard_v01",
    description="500 prompts of Chatbot Arena, answers compared with gpt-4-0314's by a judge",
    env="cascade/Pairwise-v0",
    tasks=ARENA_HARD_V01,
    judge=JudgeProtocol(
        "gpt-4-1106-preview",
        SamplingParams(temperature=0.0, max_tokens=4096, seed=0),
        "lmarena/arena-hard-auto at 196f6b8, config/arena-hard-v0.1.yaml",
    ),
    protocol=Protocol(
        source="Li et al. 2024, arXiv:2406.11939; lmarena/arena-hard-auto at 196f6b8",
        sampling=SamplingParams(temperature=0.0, max_tokens=4096),
        metrics=(),
        set_metrics=(WIN_RATE,),
        headline="win rate",
    ),
    published=(
        Published("gpt-4-turbo-2024-04-09", 82.63, "win rate", _BOARD, 1),
        Published("claude-3-5-sonnet-20240620", 79.35, "win rate", _BOARD, 1),
        Published("gpt-4o-2024-05-13", 79.21, "win rate", _BOARD, 1),
    ),
    breakdown="cluster",
    deviations=("not part of the Cascade 2 report, which has v2.0",),
    mini="mini_pairwise",
)
