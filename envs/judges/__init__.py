r"""Judging by a model: one client that environments, evaluation and training share.

    judge = Judge(engine)                                    # any `cascade.envs.engines.Engine`
    judgment = await judge.ask(messages, last_label(("A>B", "B>A")))
    if judgment.is_fault: ...                                # it failed: never a score of 0

A prompt is a conversation, a verdict is what a parser finds in the reply. See docs/judges.md.
"""

from cascade.envs.judges.judge import JUDGE_PARAMS, Judge, Judgment
from cascade.envs.judges.pairwise import Orders, PairPrompt, both_orders
from cascade.envs.judges.replies import (
    Parse,
    json_fields,
    last_boxed,
    last_label,
    last_tagged,
    whole_number,
)
from cascade.envs.judges.served import ServedJudge

__all__ = [
    "JUDGE_PARAMS",
    "Judge",
    "Judgment",
    "Orders",
    "PairPrompt",
    "Parse",
    "ServedJudge",
    "both_orders",
    "json_fields",
    "last_boxed",
    "last_label",
    "last_tagged",
    "whole_number",
]
