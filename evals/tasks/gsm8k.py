"""GSM8K."""

from cascade.evals.published import ZEROEVAL
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams
from cascade.verifiers.policy import Policy

_JSON_PROMPT = "greedy, with a prompt that asks for JSON"

TASK = EvalTask(
    name="gsm8k",
    description="Grade-school word problems, test split (Cobbe et al. 2021): integers",
    env="cascade/Math-v0",
    tasks="gsm8k",
    env_options={"policy": Policy(percent="sign_optional")},
    protocol=Protocol(
        source="zero-shot with the settings of DeepSeek-R1, arXiv:2501.12948, section 3; "
        "no publisher states a protocol for reasoning models",
        sampling=SamplingParams(temperature=0.6, top_p=0.95, max_tokens=32_768),
        samples=1,
    ),
    published=(
        Published("claude-3-5-sonnet-20241022", 96.66, "avg@1", ZEROEVAL, 1, _JSON_PROMPT),
        Published("gpt-4o-2024-08-06", 96.21, "avg@1", ZEROEVAL, 1, _JSON_PROMPT),
        Published("o1-mini-2024-09-12", 96.06, "avg@1", ZEROEVAL, 1, _JSON_PROMPT),
    ),
    deviations=("not part of the Cascade 2 report",),
    mini="mini_arithmetic",
)
