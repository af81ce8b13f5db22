"""Judges a response by its constraints: strictly or loosely, all or nothing or by share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from cascade.errors import ConfigError
from cascade.types import Verdict, VerdictStatus
from cascade.verifiers.instructions.load import load_constraints
from cascade.verifiers.instructions.rule import Constraint, Rule
from cascade.verifiers.instructions.sound import SOUND_RULES
from cascade.verifiers.instructions.table import RULES
from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["MAX_CHARACTERS", "Accuracy", "InstructionVerifier", "accuracy", "variants", "verify"]

MAX_CHARACTERS = 2_000_000
"""A longer answer is wrong unread: no model writes one, and every rule stays fast."""

Mode = Literal["strict", "loose"]
Reward = Literal["binary", "fraction"]
Standard = Literal["published", "sound"]
Constraints = Mapping[str, Any] | Sequence[Mapping[str, Any] | Constraint]


TABLES: Mapping[str, Mapping[str, Rule]] = {"published": RULES, "sound": SOUND_RULES}


def variants(text: str) -> Iterator[str]:
    """Yield the texts of which loose judging accepts any, each once, `text` first.

    They leave out the first line, the last line or both (an introduction, a closing remark),
    and asterisks (Markdown): the eight variants of google-research `instruction_following_eval`.
    """
    lines = text.split("\n")
    cut = ("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))
    seen: set[str] = set()
    for whole in (text, *cut):
        for variant in (whole, whole.replace("*", "")):
            if variant.strip() and variant not in seen:
                seen.add(variant)
                yield variant


def verify(
    response: str,
    constraints: Constraints,
    *,
    mode: Mode = "strict",
    reward: Reward = "binary",
    finished: bool = True,
    standard: Standard = "published",
) -> Verdict:
    """Judge `response` by `constraints`, in any form that `load_constraints` reads.

    Args:
        response: The assistant's whole message; a reasoning block is taken off first.
        constraints: What the response must follow.
        mode: "strict" judges the answer as it is; "loose" lets each instruction choose among the
            answer's `variants`.
        reward: "binary" is 1 if all instructions are followed; "fraction" is their share.
        finished: False if the response was cut off at the token budget: NO_ANSWER, reward 0.
        standard: "published" judges as the benchmarks' checkers do; "sound" also fails what they
            let through against the instruction's own words (see `SOUND_RULES`).

    Returns:
        A verdict whose `parts` hold 0 or 1 for every instruction, also where nothing could be
        judged; the second of two equal ids is called ``id#2``.

    Raises:
        DataError: the constraints cannot be read.
        ConfigError: no such mode, reward or standard.
    """
    _refuse_unknown(mode, reward, standard)
    rules = TABLES[standard]
    loaded = load_constraints(constraints)
    names = _names(loaded)
    answer = strip_reasoning(response) if finished else None
    if answer is None or not answer.strip():
        reason = _why_unjudged(finished, answer)
        return Verdict(0.0, VerdictStatus.NO_ANSWER, parts=dict.fromkeys(names, 0.0), reason=reason)
    if len(answer) > MAX_CHARACTERS:
        return Verdict(
            0.0,
            VerdictStatus.WRONG,
            parts=dict.fromkeys(names, 0.0),
            reason=f"the answer is longer than {MAX_CHARACTERS:,} characters",
        )
    try:
        followed = _followed(answer, loaded, rules, mode)
    except Exception as error:  # noqa: BLE001 - a rule that breaks must not pass for a wrong answer
        return Verdict.fault(f"a rule failed: {type(error).__name__}: {error!s:.200}")
    return _verdict(dict(zip(names, followed, strict=True)), loaded, rules, reward)


def _refuse_unknown(mode: str, reward: str, standard: str) -> None:
    for name, value, known in (
        ("mode", mode, ("strict", "loose")),
        ("reward", reward, ("binary", "fraction")),
        ("standard", standard, tuple(TABLES)),
    ):
        if value not in known:
            raise ConfigError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")


def _names(constraints: Sequence[Constraint]) -> list[str]:
    seen: dict[str, int] = {}
    names = []
    for constraint in constraints:
        seen[constraint.id] = seen.get(constraint.id, 0) + 1
        count = seen[constraint.id]
        names.append(constraint.id if count == 1 else f"{constraint.id}#{count}")
    return names


def _why_unjudged(finished: bool, answer: str | None) -> str:
    if not finished:
        return "the response was cut off before it ended"
    return "the reasoning block never closed" if answer is None else "the answer is empty"


def _followed(
    answer: str, constraints: Sequence[Constraint], rules: Mapping[str, Rule], mode: Mode
) -> list[bool]:
    texts = [answer] if mode == "strict" else list(variants(answer))
    return [
        any(rules[constraint.id].check(text, **constraint.arguments) for text in texts)
        for constraint in constraints
    ]


def _verdict(
    followed: Mapping[str, bool],
    constraints: Sequence[Constraint],
    rules: Mapping[str, Rule],
    reward: Reward,
) -> Verdict:
    parts = {name: float(held) for name, held in followed.items()}
    share = sum(parts.values()) / len(parts)
    if share == 1.0:
        reason = f"all {len(parts)} instructions followed"
        return Verdict(1.0, VerdictStatus.CORRECT, parts=parts, reason=reason)
    missed = [
        f"{name} ({rules[constraint.id].describe(**constraint.arguments):.80})"
        for (name, held), constraint in zip(followed.items(), constraints, strict=True)
        if not held
    ]
    reason = " ".join(f"not followed: {'; '.join(missed)}".split())
    if reward == "binary" or share == 0.0:
        return Verdict(0.0, VerdictStatus.WRONG, parts=parts, reason=reason)
    return Verdict(share, VerdictStatus.PARTIAL, parts=parts, reason=reason)


@dataclass(frozen=True, slots=True)
class InstructionVerifier:
    """`verify` with its settings, as a `cascade.types.Verifier`; any thread may call it."""

    mode: Mode = "strict"
    """Judge the answer as it is, or let each instruction choose among its variants."""
    reward: Reward = "binary"
    """1 if all instructions are followed, or their share."""
    standard: Standard = "published"
    """Judge as the benchmarks' checkers do, or by the instructions' own words."""
    both: bool = False
    """Judge in the other mode too: `parts` then hold ``strict/ID`` and ``loose/ID``, as benchmarks
    report both from one response. The reward stays that of `mode`."""

    def __post_init__(self) -> None:
        """Refuse settings that do not exist."""
        _refuse_unknown(self.mode, self.reward, self.standard)

    def __call__(self, response: str, reference: Any, /) -> Verdict:
        """Judge `response` by the constraints in `reference`."""
        return self.judge(response, reference)

    def judge(self, response: str, reference: Any, *, finished: bool = True) -> Verdict:
        """Do the same; a response that is not `finished` was cut off: NO_ANSWER, reward 0."""
        modes: tuple[Mode, ...] = ("strict", "loose") if self.both else (self.mode,)
        found = {
            mode: verify(
                response, reference, mode=mode, reward=self.reward, standard=self.standard,
                finished=finished,
            )
            for mode in modes
        }  # fmt: skip
        verdict = found[self.mode]
        if not self.both:
            return verdict
        parts = {
            f"{mode}/{name}": held for mode in modes for name, held in found[mode].parts.items()
        }
        return replace(verdict, parts=parts)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Accuracy over many responses, as IFEval and IFBench report it."""

    prompts: int
    """Responses that were judged."""
    instructions: int
    """Instructions in them."""
    prompt: float
    """Share of responses that follow all of their instructions."""
    instruction: float
    """Share of instructions that are followed."""


def accuracy(verdicts: Iterable[Verdict]) -> Accuracy:
    """Pool verdicts at prompt and instruction level; a FAULT is left out of both.

    Raises:
        ConfigError: there is no verdict to pool.
    """
    judged = [verdict for verdict in verdicts if not verdict.is_fault]
    parts = [value for verdict in judged for value in verdict.parts.values()]
    if not parts:
        raise ConfigError("no verdict to pool")
    full = sum(all(verdict.parts.values()) for verdict in judged)
    return Accuracy(len(judged), len(parts), full / len(judged), sum(parts) / len(parts))
