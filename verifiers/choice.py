r"""Multiple choice with up to 10 options: is the letter that a response settles on the right one?

    >>> from cascade.verifiers import choice
    >>> choice.verify(r"It must be the third: \boxed{C}", "C").status.value
    'correct'

One letter counts, and nothing else does: `\boxed{A or C}`, a letter beyond the options and the
text of an option are WRONG, no box is NO_ANSWER. There is no guessing: a missing answer is never
replaced by a random letter, which adds 0.6 to 2.7 points to published MMLU-Pro numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any, Literal, get_args

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import Verdict
from cascade.verifiers.extraction import find_answer
from cascade.verifiers.notation import clean, unwrap_text
from cascade.verifiers.policy import Policy
from cascade.verifiers.reasoning import strip_reasoning

__all__ = [
    "PROMPTS",
    "ChoiceVerifier",
    "Style",
    "extract_letter",
    "format_example",
    "format_prompt",
    "verify",
]

Style = Literal["boxed", "answer_line", "answer_is", "answer_is_or_last"]
"""How a prompt asks for the letter, and hence where it is read:

* `boxed`: the last `\\boxed{C}`.
* `answer_line`: the last "Answer: C" (openai/simple-evals).
* `answer_is`: the first "answer is (C)" (MMLU-Pro, local models). The model may go on and write
  further questions after its answer, so the first match counts.
* `answer_is_or_last`: that, else "Answer: C", else the last letter that stands alone (MMLU-Pro, API
  models). The last step reads the pronoun "I" as option I; for reproducing published numbers only.
"""

MIN_OPTIONS, MAX_OPTIONS = 2, 10
"""MMLU-Pro asks 20 of its questions with 3 options."""
_BOXED = Policy(extraction="boxed")

PROMPTS: Mapping[str, str] = MappingProxyType(
    {
        # openai/simple-evals, common.py at 01ac108, QUERY_TEMPLATE_MULTICHOICE; style answer_line.
        "gpqa_simple_evals": (
            "Answer the following multiple choice question. The last line of your response should "
            "be of the following format: 'Answer: $LETTER' (without quotes) where LETTER is one of "
            "{letters}. Think step by step before answering.\n\n{question}\n\n{options_paren}"
        ),
        # NVIDIA/NeMo-Skills, prompt/config/eval/aai/mcq-4choices-boxed; style boxed.
        "boxed": (
            "Answer the following multiple choice question. The last line of your response should "
            "be in the following format: 'Answer: \\boxed{{{slashed}}}' (e.g. 'Answer: "
            "\\boxed{{A}}').\n\n{question}\n\n{options_paren}"
        ),
        # TIGER-AI-Lab/MMLU-Pro, evaluate_from_local.py: instruction, worked examples, then the
        # question; style answer_is.
        "mmlu_pro": (
            "The following are multiple choice questions (with answers) about {subject}. Think "
            'step by step and then finish your answer with "the answer is (X)" where X is the '
            "correct letter choice.\n\n\n{examples}Question:\n{question}\nOptions:\n{options_dot}\n"
            "Answer: Let's think step by step."
        ),
    }
)
"""Published prompts by name; `format_prompt` fills them in."""


def format_prompt(
    name: str, question: str, options: Sequence[str], *, subject: str = "", examples: str = ""
) -> str:
    """Return the published prompt `name` for one question.

    Args:
        name: a key of `PROMPTS`.
        question: the question's text.
        options: the options' texts, in the order of their letters.
        subject: the category that the `mmlu_pro` prompt names.
        examples: worked examples put before the question, each ended by an empty line; see
            `format_example`.

    Raises:
        UnknownNameError: there is no prompt of that name.
        ConfigError: the number of options is not 2 to 10.
    """
    if name not in PROMPTS:
        raise UnknownNameError.near("prompt", name, PROMPTS)
    letters = _letters(options)
    lettered = list(zip(letters, options, strict=True))
    return PROMPTS[name].format(
        question=question,
        letters=letters,
        slashed="/".join(letters),
        options_paren="\n".join(f"{letter}) {text}" for letter, text in lettered),
        options_dot="\n".join(f"{letter}. {text}" for letter, text in lettered),
        subject=subject,
        examples=examples,
    )


def format_example(question: str, options: Sequence[str], explanation: str) -> str:
    """Return one worked example of the `mmlu_pro` prompt, as its evaluation script writes it.

    Args:
        question: the question's text.
        options: any number of options (the validation questions may have fewer than 4).
        explanation: the data set's `cot_content`, "A: Let's think step by step. …".
    """
    lines = "\n".join(f"{a}. {text}" for a, text in zip(ascii_uppercase, options, strict=False))
    said = explanation.replace("A: Let's think step by step.", "Answer: Let's think step by step.")
    return f"Question:\n{question}\nOptions:\n{lines}\n{said}\n\n"


_ANSWER_LINE = re.compile(r"(?i:answer)[ \t*]*:[ \t*]*(?:\\?\$|\()?\\?([A-J])(?![A-Za-z])")
_ANSWER_IS = re.compile(r"answer is \(?([A-J])\)?")
_ANSWER_COLON = re.compile(r"[aA]nswer:\s*([A-J])")
_ALONE = re.compile(r"\b[A-J]\b")


def extract_letter(response: str, style: Style = "boxed") -> str | None:
    """Return the letter that `response` answers with, read as its prompt asked; None if none.

    A box that holds anything but one letter gives None; `verify` tells the two cases apart.
    """
    if style == "boxed":
        found = find_answer(response, _BOXED)
        return None if found.answer is None else _single_letter(found.answer)
    text = strip_reasoning(response)
    if text is None:
        return None
    if style == "answer_line":
        lines = _ANSWER_LINE.findall(text)
        return lines[-1] if lines else None
    match = _ANSWER_IS.search(text)
    if match is None and style == "answer_is_or_last":
        colons = list(_ANSWER_COLON.finditer(text))
        match = colons[-1] if colons else None
        if match is None:
            alone = _ALONE.findall(text)
            return alone[-1] if alone else None
    return match[1] if match else None


def _single_letter(inside: str) -> str | None:
    text = unwrap_text(clean(inside))
    match = re.fullmatch(r"\(?\s*([A-Za-z])\s*[).:]?", text)
    return match[1].upper() if match else None


def verify(
    response: str, answer: str, *, options: int | Sequence[str] = 4, style: Style = "boxed"
) -> Verdict:
    """Judge the letter of `response` against the gold letter `answer`.

    Args:
        response: the assistant's whole message, reasoning included.
        answer: the gold letter.
        options: how many options there are, or their texts.
        style: how the prompt asked for the letter.

    Raises:
        DataError: the gold is no letter among the options.
        ConfigError: fewer than 2 or more than 10 options, or an unknown style.
    """
    if style not in get_args(Style):
        raise ConfigError(f"style must be one of {get_args(Style)}, got {style!r}")
    letters = _letters(options)
    gold = answer.strip().strip("()").upper() if isinstance(answer, str) else ""
    if len(gold) != 1 or gold not in letters:
        raise DataError(
            f"the gold must be one of {letters}, got {answer!r}; no letter can be right"
        )
    response = response if isinstance(response, str) else ""
    letter = extract_letter(response, style)
    if letter is None:
        return _no_letter(response, style)
    if letter not in letters:
        return Verdict.wrong(letter, f"there is no option {letter} among {letters}")
    if letter == gold:
        return Verdict.correct(letter)
    return Verdict.wrong(letter, f"{letter} is not {gold}")


def _no_letter(response: str, style: Style) -> Verdict:
    if style != "boxed":
        closed = strip_reasoning(response) is not None
        return Verdict.no_answer("no letter" if closed else "the reasoning block never closed")
    found = find_answer(response, _BOXED)
    if found.answer is None:
        return Verdict.no_answer(found.reason)
    return Verdict.wrong(found.answer[:200], "the box does not hold exactly one letter")


def _letters(options: int | Sequence[str]) -> str:
    count = options if isinstance(options, int) else len(options)
    if not MIN_OPTIONS <= count <= MAX_OPTIONS:
        raise ConfigError(f"a question has {MIN_OPTIONS} to {MAX_OPTIONS} options, got {count}")
    return ascii_uppercase[:count]


@dataclass(frozen=True, slots=True)
class ChoiceVerifier:
    """`verify` as an object, for environments: frozen and picklable."""

    style: Style = "boxed"
    """How the prompt asks for the letter."""
    options: int = 4
    """The number of options, where the reference does not say."""

    def __call__(self, response: str, reference: Any, /) -> Verdict:
        """Judge `response` against a letter, or `{"answer": "C", "options": 10}`.

        `options` in the reference may also be the list of the options' texts.

        Raises:
            DataError: the reference holds no gold letter among the options.
            ConfigError: the number of options is not 2 to 10.
        """
        options: int | Sequence[str] = self.options
        if isinstance(reference, Mapping):
            if "answer" not in reference:
                raise DataError(f"a choice reference needs 'answer', got {sorted(reference)}")
            options = reference.get("options", options)
            reference = reference["answer"]
        return verify(response, reference, options=options, style=self.style)
