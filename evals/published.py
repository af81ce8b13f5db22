"""Published numbers that several tasks share, with their sources."""

from __future__ import annotations

from cascade.evals.task import Published

__all__ = ["CASCADE2", "CASCADE2_CODE", "DEEPSEEK_R1", "QWQ", "ZEROEVAL", "cascade2"]

CASCADE2 = "Nemotron-Cascade 2 technical report, arXiv:2603.19220, Table 1"
CASCADE2_CODE = "Nemotron-Cascade 2 technical report, arXiv:2603.19220, Table 6"
DEEPSEEK_R1 = "DeepSeek-R1, arXiv:2501.12948, Table 4"
QWQ = "QwenLM/QwQ at 620a5ea, eval/README.md"
ZEROEVAL = "WildEval/ZeroEval at 8c1485e, result_dirs/gsm.summary.json"

_MODELS = (
    "Nemotron-Cascade-2-30B-A3B",
    "Nemotron-3-Nano-30B-A3B",
    "Nemotron-3-Super-120B-A12B",
    "Qwen3.5-35B-A3B",
)


def cascade2(
    metric: str, samples: int, scores: tuple[float, ...], by_authors: tuple[int, ...] = ()
) -> tuple[Published, ...]:
    """Return a row of the report's Table 1 without tools.

    Args:
        metric: what was computed.
        samples: samples per problem.
        scores: of Cascade 2, Nano, Super and Qwen3.5, in this order.
        by_authors: positions (from 0) that the report's authors ran themselves; the others are
            numbers that the models' makers state, whose samples are not known.
    """
    return tuple(
        Published(model, score, metric, CASCADE2, samples)
        if i in (0, *by_authors)
        else Published(model, score, "pass@1", CASCADE2, note="as stated by the model's maker")
        for i, (model, score) in enumerate(zip(_MODELS, scores, strict=True))
    )
