"""AlpacaEval 2, length-controlled."""

from cascade.envs.pairwise.sources import ALPACA_EVAL
from cascade.evals.alpaca import LENGTH_CONTROLLED, PREFERENCE
from cascade.evals.task import EvalTask, JudgeProtocol, Protocol, Published
from cascade.types import SamplingParams

_BOARD = "tatsu-lab/alpaca_eval at cd543a1, leaderboards/data_AlpacaEval_2"
_METRIC = "length-controlled win rate"

TASK = EvalTask(
    name="alpaca_eval",
    description="805 instructions, answers compared with GPT-4 Turbo's, length controlled",
    env="cascade/Pairwise-v0",
    env_options={"protocol": "alpaca_eval"},
    tasks=ALPACA_EVAL,
    judge=JudgeProtocol(
        "gpt-4-1106-preview",
        SamplingParams(temperature=0.0, max_tokens=8, seed=0),
        "tatsu-lab/alpaca_eval at cd543a1, evaluators_configs/weighted_alpaca_eval_gpt4_turbo",
    ),
    protocol=Protocol(
        source="AlpacaEval 2, Dubois et al. 2024, arXiv:2404.04475",
        sampling=SamplingParams(temperature=0.7, max_tokens=2048),
        metrics=(),
        set_metrics=(LENGTH_CONTROLLED, PREFERENCE),
        headline=_METRIC,
    ),
    published=(
        Published("gpt-4o-2024-05-13", 57.46, _METRIC, _BOARD),
        Published("Meta-Llama-3-70B-Instruct", 34.42, _METRIC, _BOARD),
        Published("Mistral-7B-Instruct-v0.2", 17.11, _METRIC, _BOARD),
    ),
    breakdown="category",
    deviations=(
        "not part of the Cascade 2 report",
        "the judge says a label in both orders; the original takes one order by chance and the "
        "probabilities of its one token",
        "no fitted difficulties of the instructions (instruction_difficulty.csv) and a fixed ridge",
        "sampling is each model's own on the published board; this one is ours",
        "the name of the hub's file is from its loader's name and could not be looked at; columns "
        "and rows are those of the repository's results/gpt4_1106_preview/model_outputs.json",
    ),
    mini="mini_pairwise",
)
