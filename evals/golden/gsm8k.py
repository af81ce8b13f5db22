"""GSM8K: the solutions of its publishers' four systems, and of ToRA with a Python tool."""

from cascade.evals.verify import Expected, GoldenSet, Rescore

_OPENAI = {
    "6b_finetuning": 21.68,
    "6b_verification": 39.04,
    "175b_finetuning": 34.72,
    "175b_verification": 56.25,
}
_TORA = {"tora-70b-v1.0": 84.3, "tora-code-34b-v1.0": 80.7}

SETS = (
    *(
        GoldenSet(
            name=f"gsm8k_openai/{system}",
            source="openai/grade-school-math at 3101c7d: the mean of is_correct",
            files=("gsm8k_openai/example_model_solutions.jsonl.gz",),
            measure=Rescore(task="gsm8k", format=f"gsm8k_openai:{system}"),
            expected=(Expected("score", score, 0.006), Expected("same", 1319)),
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
        )
        for model, score in _TORA.items()
    ),
)
