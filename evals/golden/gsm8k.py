"""GSM8K: the solutions of its publishers' four systems, and of ToRA with a Python tool."""

from cascade.evals.downloads import Download
from cascade.evals.verify import Expected, GoldenSet, Rescore

_OPENAI = {
    "6b_finetuning": 21.68,
    "6b_verification": 39.04,
    "175b_finetuning": 34.72,
    "175b_verification": 56.25,
}
_TORA = {"tora-70b-v1.0": 84.3, "tora-code-34b-v1.0": 80.7}

_RAW = "https://raw.githubusercontent.com"
_GSM8K = f"{_RAW}/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c"
_PROBLEMS = Download(
    "gsm8k_openai/test.jsonl.gz",
    f"{_GSM8K}/grade_school_math/data/test.jsonl",
    "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    "MIT",
)
_SOLUTIONS = Download(
    "gsm8k_openai/example_model_solutions.jsonl.gz",
    f"{_GSM8K}/grade_school_math/data/example_model_solutions.jsonl",
    "4bc62db838f8418365d51c627bd66294cbdca9fb7f01519cb13f0dce8c51580b",
    "MIT",
)
_TORA_SHA256 = {
    "tora-70b-v1.0": "abca7acb32cf9293fff2d4c7c39b14b5294c05827eeec9584e68446a35475ba0",
    "tora-code-34b-v1.0": "f5bec001fd6d1a9c29df8911939e7864b3a10e89d778d418def335481619271f",
}


def _tora_outputs(model: str) -> Download:
    return Download(
        f"gsm8k_tora/{model}.jsonl.gz",
        f"{_RAW}/microsoft/ToRA/213c1c995038c73fab10343814df7a42f990f026/src/outputs/llm-agents/"
        f"{model}/gsm8k/test_tora_-1_seed0_t0.0_s0_e1319.jsonl",
        _TORA_SHA256[model],
        "MIT",
    )


SETS = (
    *(
        GoldenSet(
            name=f"gsm8k_openai/{system}",
            source="openai/grade-school-math at 3101c7d: the mean of is_correct",
            files=("gsm8k_openai/example_model_solutions.jsonl.gz",),
            measure=Rescore(task="gsm8k", format=f"gsm8k_openai:{system}"),
            expected=(Expected("score", score, 0.006), Expected("same", 1319)),
            downloads=(_PROBLEMS, _SOLUTIONS),
        )
        for system, score in _OPENAI.items()
    ),
    *(
        GoldenSet(
            name=f"gsm8k_tora/{model}",
            source="microsoft/ToRA at 213c1c9, README",
            files=(f"gsm8k_tora/{model}.jsonl.gz",),
            measure=Rescore(task="gsm8k", format="gsm8k_tora"),
            expected=(Expected("score", score, 0.3),),
            downloads=(_PROBLEMS, _tora_outputs(model)),
        )
        for model, score in _TORA.items()
    ),
)
