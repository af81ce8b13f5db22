"""Rules that ask for a text to be repeated, and for answers in several parts.

Behaviour after google-research `instruction_following_eval` (as in mlfoundations/evalchemy
6ed6741), allenai/IFBench db69a6f and open-instruct `IFEvalG` e6c3044, all Apache-2.0.
"""

from __future__ import annotations

from random import Random
from typing import Any

from cascade.verifiers.instructions import prose
from cascade.verifiers.instructions.lengths import divided
from cascade.verifiers.instructions.rule import Rule, passage, phrase, whole
from cascade.verifiers.instructions.text import PUNCTUATION, folded

__all__ = ["RULES"]

_SIX_STARS = r"\*{6}"
_ONLY_THIS = "Only output this sentence here, ignore all other requests."


def _two_answers(text: str) -> bool:
    parts = divided(text, _SIX_STARS)
    return parts is not None and len(parts) == 2 and parts[0].strip() != parts[1].strip()


def _repeated_first(text: str, *, prompt_to_repeat: str) -> bool:
    return folded(text).startswith(folded(prompt_to_repeat))


def _copied(text: str, *, prompt_to_repeat: str) -> bool:
    return folded(text) == folded(prompt_to_repeat)


def _copied_often(text: str, *, prompt_to_repeat: str, N: int) -> bool:
    parts = text.split("******")
    return len(parts) == N and all(
        _copied(part, prompt_to_repeat=prompt_to_repeat) for part in parts
    )


def _span(text: str, *, prompt_to_repeat: str, n_start: int, n_end: int) -> bool:
    return folded(text) == folded(prompt_to_repeat[n_start : n_end + 1])


def _span_either_way(text: str, *, prompt_to_repeat: str, n_start: int, n_end: int) -> bool:
    """The prompt says that the end is included, its published checker leaves it out."""
    ends = (n_end, n_end + 1)
    return any(folded(text) == folded(prompt_to_repeat[n_start:end]) for end in ends)


def _first_word_changed(text: str, *, prompt_to_repeat: str) -> bool:
    said, asked = text.split(), prompt_to_repeat.split()
    return said[1:] == asked[1:] and said[:1] != asked[:1]


def _varied(text: str, *, phrase: str, small_n: int) -> bool:
    wanted = [word.strip(PUNCTUATION).lower() for word in phrase.split()]
    said = [word.strip(PUNCTUATION).lower() for word in text.split()]
    size = len(wanted)
    changes = [
        sum(a != b for a, b in zip(said[start : start + size], wanted, strict=True))
        for start in range(len(said) - size + 1)
        if said[start] == wanted[0] and said[start + size - 1] == wanted[-1]
    ]
    return [change for change in changes if change <= 1] == [1] * small_n


def _only_this(text: str) -> bool:
    return folded(text) == folded(_ONLY_THIS)


def _span_draw(rng: Random) -> dict[str, Any]:
    text = prose.sentence(rng, 5)
    start = rng.randint(1, 4)
    return {"prompt_to_repeat": text, "n_start": start, "n_end": start + rng.randint(3, 12)}


def _variations(rng: Random, phrase: str, small_n: int) -> str:
    words = phrase.split()
    lines = []
    for _ in range(small_n):
        changed = list(words)
        changed[rng.randint(1, len(words) - 2)] = prose.words(rng, 1, phrase)
        lines.append(" ".join(changed) + ".")
    return " ".join(lines)


_REQUEST = (passage("prompt_to_repeat"),)
_SPAN = (*_REQUEST, whole("n_start", 1, 4), whole("n_end", 5, 15))


def _copy_rule(name: str) -> Rule:
    return Rule(
        name,
        _copied,
        "Copy this request word for word instead of following it: {prompt_to_repeat}",
        lambda rng, prompt_to_repeat: prompt_to_repeat,
        lambda rng, prompt_to_repeat: f"{prompt_to_repeat} {prose.sentence(rng, 3)}",
        _REQUEST,
    )


def _spanned(rng: Random, prompt_to_repeat: str, n_start: int, n_end: int) -> str:
    return prompt_to_repeat[n_start : n_end + 1]


def _beyond(rng: Random, prompt_to_repeat: str, n_start: int, n_end: int) -> str:
    return prompt_to_repeat[n_start : n_end + 1] + "xyz"


RULES = (
    Rule(
        "combination:two_responses",
        _two_answers,
        "Give two different answers with six asterisks, ******, between them.",
        lambda rng: f"{prose.sentence(rng, 3)}\n******\n{prose.sentence(rng, 4)}",
        lambda rng: "{0}\n******\n{0}".format(prose.sentence(rng, 3)),
    ),
    Rule(
        "combination:repeat_prompt",
        _repeated_first,
        "Before you answer, repeat this request word for word: {prompt_to_repeat}",
        lambda rng, prompt_to_repeat: f"{prompt_to_repeat}\n{prose.sentence(rng, 3)}",
        lambda rng, prompt_to_repeat: f"{prose.sentence(rng, 3)}\n{prompt_to_repeat}.",
        _REQUEST,
    ),
    _copy_rule("copy:copy"),
    _copy_rule("copy:copying_simple"),
    Rule(
        "copy:copying_multiple",
        _copied_often,
        "Copy this request {N} times with six asterisks, ******, between the copies, and do not "
        "answer it: {prompt_to_repeat}",
        lambda rng, prompt_to_repeat, N: "\n******\n".join([prompt_to_repeat] * N),
        lambda rng, prompt_to_repeat, N: "\n******\n".join([prompt_to_repeat] * (N + 1)),
        (*_REQUEST, whole("N", 1, 3)),
    ),
    Rule(
        "copy:repeat_phrase",
        _varied,
        "Write this phrase exactly {small_n} times, each time with one other word inside it: "
        "{phrase}",
        _variations,
        lambda rng, phrase, small_n: " ".join([f"{phrase}."] * small_n),
        (phrase("phrase"), whole("small_n", 1, 3)),
        joint=lambda rng: {
            "phrase": " ".join(prose.keywords(rng, 5)),
            "small_n": rng.randint(1, 3),
        },
    ),
    Rule(
        "new:copy_span_idx",
        _span_either_way,
        "Copy the characters from index {n_start} to index {n_end} of this text: "
        "{prompt_to_repeat}",
        _spanned,
        _beyond,
        _SPAN,
        joint=_span_draw,
    ),
    Rule(
        "repeat:repeat_span",
        _span,
        "Copy the characters from index {n_start} to index {n_end}, both included, of this text: "
        "{prompt_to_repeat}",
        _spanned,
        _beyond,
        _SPAN,
        joint=_span_draw,
    ),
    Rule(
        "repeat:repeat_change",
        _first_word_changed,
        "Repeat this request with another first word, and do not answer it: {prompt_to_repeat}",
        lambda rng, prompt_to_repeat: " ".join(["Zebra", *prompt_to_repeat.split()[1:]]),
        lambda rng, prompt_to_repeat: prompt_to_repeat,
        _REQUEST,
    ),
    Rule(
        "repeat:repeat_simple",
        _only_this,
        _ONLY_THIS,
        lambda rng: _ONLY_THIS,
        lambda rng: f"{_ONLY_THIS} {prose.sentence(rng, 3)}",
    ),
)
