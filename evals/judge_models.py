"""Judges that several tasks share."""

from __future__ import annotations

from cascade.evals.task import JudgeProtocol
from cascade.types import SamplingParams

__all__ = ["GPT_OSS_120B"]

GPT_OSS_120B = JudgeProtocol(
    "gpt-oss-120b",
    SamplingParams(temperature=0.0, max_tokens=32_768, seed=0),
    "Nemotron-Cascade 2, arXiv:2603.19220, appendix A; its sampling is not published",
)
