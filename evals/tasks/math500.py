"""MATH-500."""

from cascade.evals.published import DEEPSEEK_R1
from cascade.evals.task import EvalTask, Protocol, Published
from cascade.types import SamplingParams
from cascade.verifiers.policy import Policy

TASK = EvalTask(
    name="math500",
    description="500 problems of the MATH test set (Lightman et al. 2023): expressions as answers",
    env="cascade/Math-v0",
    tasks="math500",
    env_options={"policy": Policy(percent="sign_optional")},
    protocol=Protocol(
        source="DeepSeek-R1, arXiv:2501.12948, section 3: T 0.6, top-p 0.95, 32,768 tokens, "
        "4 to 64 samples",
        sampling=SamplingParams(temperature=0.6, top_p=0.95, max_tokens=32_768),
        samples=4,
    ),
    published=(
        Published("DeepSeek-R1", 97.3, "avg@k", DEEPSEEK_R1, None, "k between 4 and 64"),
        Published(
            "NVIDIA-Nemotron-Nano-9B-v2",
            97.03,
            "avg@k",
            "NVIDIA/NeMo-Skills at 0b012df, reproduction tables",
        ),
    ),
    deviations=("not part of the Cascade 2 report",),
    mini="mini_modular",
)
