"""WildEval/ZeroEval: outputs of eight models on MATH level 5 and of six on GSM8K.

ZeroEval compares the first number of each text. On thirteen rows of MATH level 5 that accepts what
is wrong: several answers where one was asked for (184, 378, 698), a complex number for a real one
(132), a surd for an integer (257). Ours is the published score less these rows.
"""

from cascade.evals.verify import Expected, GoldenSet, Rescore

_SOURCE = "WildEval/ZeroEval at 8c1485e, result_dirs/{}.summary.json"
_PROBLEMS = 721
_MATH_L5 = {
    "Qwen2-7B-Instruct": (23.86, {"132", "184", "257"}),
    "Qwen2.5-72B-Instruct": (60.19, {"257", "698"}),
    "claude-3-5-sonnet-20241022": (59.36, {"378"}),
    "gemma-2-2b-it": (4.30, set()),
    "gpt-4o-2024-08-06": (55.34, {"698"}),
    "gpt-4o-mini-2024-07-18": (52.15, {"184", "698"}),
    "o1-mini-2024-09-12": (89.32, {"257", "378", "698"}),
    "o1-preview-2024-09-12": (84.47, set()),
}
_GSM = {
    "Qwen2-7B-Instruct": 80.06,
    "claude-3-5-sonnet-20241022": 96.66,
    "gemma-2-2b-it": 51.63,
    "gpt-4o-2024-08-06": 96.21,
    "gpt-4o-mini-2024-07-18": 94.24,
    "o1-mini-2024-09-12": 96.06,
}


def _math_l5(model: str, published: float, differing: set[str]) -> GoldenSet:
    ours = published - 100 * len(differing) / _PROBLEMS
    why = f"{len(differing)} false accepts of the first-number rule" if differing else ""
    return GoldenSet(
        name=f"zeroeval/math-l5/{model}",
        source=_SOURCE.format("math-l5"),
        files=(f"zeroeval/math-l5/{model}.jsonl.gz",),
        measure=Rescore(
            task="math",
            format="zeroeval",
            answers="zeroeval/math-l5.problems.jsonl.gz",
            policy={"percent": "sign_optional"},
            differing=frozenset(differing),
        ),
        expected=(
            Expected("score", round(ours, 4), 0.006, published if differing else None, why),
            Expected("problems", _PROBLEMS),
            Expected("unexplained", 0),
        ),
    )


def _gsm(model: str, published: float) -> GoldenSet:
    return GoldenSet(
        name=f"zeroeval/gsm/{model}",
        source=_SOURCE.format("gsm"),
        files=(f"zeroeval/gsm/{model}.jsonl.gz",),
        measure=Rescore(task="gsm8k", format="zeroeval"),
        expected=(Expected("score", published, 0.006), Expected("same", 1319)),
    )


SETS = (
    *(_math_l5(model, *numbers) for model, numbers in _MATH_L5.items()),
    *(_gsm(model, published) for model, published in _GSM.items()),
)
