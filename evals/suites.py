"""Named lists of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cascade.errors import UnknownNameError

__all__ = ["SUITES", "Suite", "find_suite"]


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks that are run together."""

    name: str
    description: str
    tasks: tuple[str, ...]


SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "reasoning",
            "Mathematics and science with answers that a program can check",
            (
                "aime24",
                "aime25",
                "aime26",
                "hmmt_feb25",
                "math500",
                "gsm8k",
                "gpqa_diamond",
                "mmlu_pro",
            ),
        ),
        Suite(
            "instructions",
            "Instructions that a program can check",
            ("ifeval", "ifbench", "multi_constraint"),
        ),
        Suite(
            "coding",
            "Programs that hidden tests judge",
            (
                "livecodebench_v6",
                "livecodebench_v5",
                "humaneval",
                "humaneval_plus",
                "mbpp",
                "mbpp_plus",
                "livecodebench_pro_25q1_easy",
                "livecodebench_pro_25q1_medium",
                "livecodebench_pro_25q1_hard",
                "livecodebench_pro_25q2_easy",
                "livecodebench_pro_25q2_medium",
                "scicode",
                "ioi25",
                "icpc_wf25",
            ),
        ),
        Suite(
            "alignment",
            "Answers that a judge compares with a baseline's",
            ("arena_hard_v2_hard", "arena_hard_v2_creative", "alpaca_eval", "mt_bench"),
        ),
        Suite(
            "knowledge",
            "Questions of many subjects",
            ("mmlu_pro", "mmlu_redux", "gpqa_diamond", "hle"),
        ),
        Suite(
            "olympiad",
            "Olympiad answers and proofs that a judge grades",
            ("imo_answerbench", "imo_proofbench"),
        ),
        Suite(
            "long_context",
            "Needles and questions in long texts",
            ("ruler_4k", "ruler_32k", "ruler_128k", "ruler_1m", "longbench_v2"),
        ),
        Suite(
            "python",
            "Tool-integrated reasoning: a stateful Python interpreter",
            ("aime25_python", "aime26_python", "hmmt_feb25_python", "livecodebench_v6_python"),
        ),
        Suite(
            "cascade2",
            "What the Nemotron-Cascade 2 report measures and text can decide",
            (
                "aime25",
                "aime26",
                "hmmt_feb25",
                "aime25_python",
                "aime26_python",
                "imo_answerbench",
                "imo_proofbench",
                "livecodebench_v6",
                "livecodebench_v6_python",
                "livecodebench_pro_25q2_easy",
                "livecodebench_pro_25q2_medium",
                "scicode",
                "ioi25",
                "icpc_wf25",
                "mmlu_redux",
                "mmlu_pro",
                "gpqa_diamond",
                "hle",
                "arena_hard_v2_hard",
                "arena_hard_v2_creative",
                "ifbench",
                "bfcl",
                "tau2_retail",
                "tau2_airline",
                "longbench_v2",
                "ruler_1m",
            ),
        ),
        Suite(
            "tools",
            "Calls of functions: in one turn, in an office, and for customers with wishes",
            ("bfcl", "workplace", "tau2_retail", "tau2_airline"),
        ),
    )
}


def find_suite(name: str) -> Suite:
    """Return the suite called `name`.

    Raises:
        UnknownNameError: there is none; the near names are given.
    """
    if name not in SUITES:
        raise UnknownNameError.near("suite", name, SUITES)
    return SUITES[name]
