"""MT-Bench: two questions in one conversation, both answers graded from 1 to 10 by a judge.

Prompts word for word of lm-sys/FastChat at 0e6d3e4, fastchat/llm_judge/data/judge_prompts.jsonl
(Apache-2.0): single-v1 and single-v1-multi-turn, and their forms with a reference for mathematics,
reasoning and programs. Rules of the same repository, llm_judge/common.py and gen_judgment.py.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cascade.envs.base import Tasks, Turn
from cascade.envs.graded.env import GradedEnv
from cascade.envs.judges import Judge, Judgment
from cascade.envs.rows import Row, first_field
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError
from cascade.types import Message, Task, Verdict, VerdictStatus
from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["MT_BENCH", "MtBenchEnv", "rating", "with_references"]

LOWEST, HIGHEST = 1.0, 10.0
_NEED_REFERENCE = frozenset({"math", "reasoning", "coding"})


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A judge's prompt with named fields."""

    system: str
    user: str

    def messages(self, texts: Mapping[str, str]) -> tuple[Message, ...]:
        """Put the texts in as they are, braces and all."""
        user = re.sub(r"\{(\w+)\}", lambda field: texts[field[1]], self.user)
        return {"role": "system", "content": self.system}, {"role": "user", "content": user}


_SINGLE = ChatPrompt(
    ("You are a helpful assistant."),
    (
        "[Instruction]\nPlease act as an impartial judge and evaluate the quality of the "
        "response provided by an AI assistant to the user question displayed below. Your "
        "evaluation should consider factors such as the helpfulness, relevance, accuracy, "
        "depth, creativity, and level of detail of the response. Begin your evaluation by "
        "providing a short explanation. Be as objective as possible. After providing your "
        "explanation, you must rate the response on a scale of 1 to 10 by strictly following "
        'this format: "[[rating]]", for example: "Rating: [[5]]".\n\n[Question]\n'
        "{question}\n\n[The Start of Assistant's Answer]\n{answer}\n[The End of Assistant's "
        "Answer]"
    ),
)
_SINGLE_MATH = ChatPrompt(
    ("You are a helpful assistant."),
    (
        "[Instruction]\nPlease act as an impartial judge and evaluate the quality of the "
        "response provided by an AI assistant to the user question displayed below. Your "
        "evaluation should consider correctness and helpfulness. You will be given a reference "
        "answer and the assistant's answer. Begin your evaluation by comparing the assistant's "
        "answer with the reference answer. Identify and correct any mistakes. Be as objective "
        "as possible. After providing your explanation, you must rate the response on a scale "
        'of 1 to 10 by strictly following this format: "[[rating]]", for example: "Rating: '
        '[[5]]".\n\n[Question]\n{question}\n\n[The Start of Reference Answer]\n'
        "{ref_answer_1}\n[The End of Reference Answer]\n\n[The Start of Assistant's Answer]\n"
        "{answer}\n[The End of Assistant's Answer]"
    ),
)
_BOTH = ChatPrompt(
    (
        "Please act as an impartial judge and evaluate the quality of the response provided by "
        "an AI assistant to the user question displayed below. Your evaluation should consider "
        "factors such as the helpfulness, relevance, accuracy, depth, creativity, and level of "
        "detail of the response. You evaluation should focus on the assistant's answer to the "
        "second user question. Begin your evaluation by providing a short explanation. Be as "
        "objective as possible. After providing your explanation, you must rate the response "
        'on a scale of 1 to 10 by strictly following this format: "[[rating]]", for example: '
        '"Rating: [[5]]".\n\n'
    ),
    (
        "<|The Start of Assistant A's Conversation with User|>\n\n### User:\n"
        "{question_1}\n\n### Assistant A:\n{answer_1}\n\n### User:\n{question_2}\n\n"
        "### Assistant A:\n{answer_2}\n\n<|The End of Assistant A's Conversation with User|>"
    ),
)
_BOTH_MATH = ChatPrompt(
    (
        "Please act as an impartial judge and evaluate the quality of the response provided by "
        "an AI assistant to the user question. Your evaluation should consider correctness and "
        "helpfulness. You will be given a reference answer and the assistant's answer. You "
        "evaluation should focus on the assistant's answer to the second question. Begin your "
        "evaluation by comparing the assistant's answer with the reference answer. Identify "
        "and correct any mistakes. Be as objective as possible. After providing your "
        "explanation, you must rate the response on a scale of 1 to 10 by strictly following "
        'this format: "[[rating]]", for example: "Rating: [[5]]".\n\n'
    ),
    (
        "<|The Start of Reference Answer|>\n\n### User:\n{question_1}\n\n### Reference answer:"
        "\n{ref_answer_1}\n\n### User:\n{question_2}\n\n### Reference answer:\n"
        "{ref_answer_2}\n\n<|The End of Reference Answer|>\n\n\n<|The Start of Assistant A's "
        "Conversation with User|>\n\n### User:\n{question_1}\n\n### Assistant A:\n"
        "{answer_1}\n\n### User:\n{question_2}\n\n### Assistant A:\n{answer_2}\n\n"
        "<|The End of Assistant A's Conversation with User|>"
    ),
)


_DOUBLE = re.compile(r"\[\[(\d+\.?\d*)\]\]")
_SIMPLE = re.compile(r"\[(\d+\.?\d*)\]")


def rating(reply: str) -> float | None:
    """Return the first ``[[rating]]``, else the first ``[rating]``; None outside 1 to 10."""
    match = _DOUBLE.search(reply) or _SIMPLE.search(reply)
    grade = None if match is None else float(match[1])
    return grade if grade is not None and LOWEST <= grade <= HIGHEST else None


class MtBenchEnv(GradedEnv):
    """Two questions, asked one after the other; a judge grades the first answer and the second.

    A task's reference is ``{"turns": [QUESTION, QUESTION], "answers": [TEXT, TEXT] or None}``. The
    verdict's `parts` are the grades ``turn_1`` and ``turn_2`` (1 to 10); an answer that never came
    has 1, and the judge is not asked. The reward is their mean on a scale from 0 to 1. A judge that
    gives no grade makes the whole a FAULT. Another task is graded as `GradedEnv` does.

    Args:
        tasks, data_dir, render_mode: see `TextEnv`.
        judge: who grades; if not given, a toy that understands generated questions alone.
    """

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        judge: Judge | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, judge=judge, data_dir=data_dir, render_mode=render_mode)
        self.max_turns = 2
        self._first: str | None = None

    def begin(self, task: Task) -> tuple[Message, ...]:
        """Ask the first question."""
        self._first = None
        return super().begin(task)

    async def prepare(self, text: str) -> None:
        """Ask the judge once both answers are there."""
        if self._turns_of_task() is None or self._first is not None:
            await super().prepare(text)

    def respond(self, text: str) -> Turn:
        """Ask the second question, or return the verdict on both answers."""
        turns = self._turns_of_task()
        if turns is None or self._first is not None:
            return super().respond(text)
        self._first = _answer(text)
        return Turn(messages=({"role": "user", "content": turns[1]},))

    def _turns_of_task(self) -> list[str] | None:
        reference = self.task.reference
        return reference.get("turns") if isinstance(reference, Mapping) else None

    async def _verdict(self, text: str) -> Verdict:
        turns = self._turns_of_task()
        if turns is None:
            return await super()._verdict(text)
        first, second = self._first or "", _answer(text)
        texts = {
            "question": turns[0], "answer": first, "question_1": turns[0], "question_2": turns[1],
            "answer_1": first, "answer_2": second,
        }  # fmt: skip
        prompts = (_SINGLE, _BOTH)
        if self.task.reference["answers"] is not None:
            texts |= dict(
                zip(("ref_answer_1", "ref_answer_2"), self.task.reference["answers"], strict=True)
            )
            prompts = (_SINGLE_MATH, _BOTH_MATH)
        grades = await asyncio.gather(
            *(self._grade(prompt, texts, answer) for prompt, answer in
              zip(prompts, (first, second), strict=True))
        )  # fmt: skip
        failed = [g for g in grades if g is not None and g.value is None]
        if failed:
            return Verdict.fault(f"judge: {failed[0].reason}")
        values = [LOWEST if g is None or g.value is None else g.value for g in grades]
        return _of_grades(values, answered=bool(first or second))

    async def _grade(
        self, prompt: ChatPrompt, texts: Mapping[str, str], answer: str
    ) -> Judgment[float] | None:
        """Ask for one grade; None for an answer that never came."""
        return await self._judge.ask(prompt.messages(texts), rating) if answer else None


def _answer(text: str) -> str:
    return (strip_reasoning(text) or "").strip()


def _of_grades(grades: list[float], *, answered: bool) -> Verdict:
    reward = (sum(grades) / len(grades) - LOWEST) / (HIGHEST - LOWEST)
    status = {0.0: VerdictStatus.WRONG, 1.0: VerdictStatus.CORRECT}.get(
        reward, VerdictStatus.PARTIAL
    )
    parts = {"turn_1": grades[0], "turn_2": grades[1]}
    reason = f"grades {grades[0]:g} and {grades[1]:g} of 10"
    return Verdict(reward, status if answered else VerdictStatus.NO_ANSWER, None, parts, reason)


def with_references(rows: list[Row]) -> list[Row]:
    """Join questions with the reference answers of their ids; rows of those have `choices`.

    Raises:
        DataError: two references of one question.
    """
    answers: dict[str, Any] = {}
    for row in rows:
        if "choices" in row:
            name = str(first_field(row, ("question_id",), "question_id"))
            if name in answers:
                raise DataError(f"two reference answers to question {name}")
            answers[name] = row["choices"][0]["turns"]
    return [
        {**row, "reference_turns": answers.get(str(row.get("question_id")))}
        for row in rows
        if "choices" not in row
    ]


def _question(row: Row, index: int) -> Task:
    turns = first_field(row, ("turns",), "turns")
    if not isinstance(turns, list) or len(turns) != 2:
        raise DataError("field 'turns' must hold two questions")
    category = str(first_field(row, ("category",), "category"))
    answers = row.get("reference_turns") if category in _NEED_REFERENCE else None
    if category in _NEED_REFERENCE and not answers:
        raise DataError(f"a question of category {category!r} needs GPT-4's reference answers")
    name = str(first_field(row, ("question_id",), "question_id"))
    message: Message = {"role": "user", "content": str(turns[0])}
    reference = {"turns": [str(turn) for turn in turns], "answers": answers}
    metadata = {"problem": str(turns[0]), "category": category}
    return Task(name, (message,), reference, metadata=metadata)


MT_BENCH = TaskSource(
    name="mt_bench", size=80, merge=with_references, row=_question,
    files=("mt_bench/question.jsonl", "mt_bench/reference_answer/gpt-4.jsonl"),
    licence="Apache-2.0 (lm-sys/FastChat)",
)  # fmt: skip
