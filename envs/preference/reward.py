"""The group reward of RLHF: comparisons to base scores, base scores and lengths to rewards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cascade.envs.preference.comparison import (
    Comparison,
    Match,
    PairJudge,
    Schedule,
    all_pairs_twice,
    base_scores,
    checked_matches,
)
from cascade.envs.preference.shaping import ConcisenessBonus, Judged, LengthControl, Shaping
from cascade.types import Conversation, StopReason, Trajectory, Verdict, VerdictStatus
from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["PreferenceReward", "split_response"]

_UNOPPOSED = 3.0
"""Points of the only answer in a group: the middle of the scale."""


@dataclass(frozen=True, slots=True)
class PreferenceReward:
    """Judges a group by comparing its answers in pairs; a `cascade.envs.groups.GroupReward`.

    An episode's `reward` becomes its points: the mean over its matches (1 to 5, beyond that where
    ties were broken) plus what `shaping` adds. Its verdict has the base score brought to [0, 1],
    and its components are in `metadata["preference"]`. An episode without an
    answer is compared with nothing and gets the least points of the group, at most 1. If nothing
    could be judged for a response, it becomes a FAULT; one that has nobody to meet gets 3 points.
    """

    judge: PairJudge
    schedule: Schedule = all_pairs_twice
    """Which matches are played."""
    shaping: tuple[Shaping, ...] = (LengthControl(), ConcisenessBonus())
    """Rules whose gains are added to the base score."""
    max_concurrency: int = 64
    """Matches of one group that are judged at the same time."""

    async def __call__(self, group: Sequence[Trajectory]) -> list[Trajectory]:
        """Return the episodes with their rewards.

        Raises:
            ConfigError: the judge will never accept such a request.
        """
        answers = {
            place: split_response(trajectory.response)
            for place, trajectory in enumerate(group)
            if not trajectory.verdict.is_fault
        }
        finished = [place for place, (_, answer) in answers.items() if answer]
        texts = [answers[place][1] for place in finished]
        conversation = group[finished[0]].messages[:-1] if finished else ()
        comparisons = await self._compare_all(conversation, texts)
        bases, missing = base_scores(len(texts), comparisons)
        bases = [_UNOPPOSED] if len(texts) == 1 else bases
        scored = {
            place: Judged(base, len(answers[place][0]), len(answers[place][1]))
            for place, base in zip(finished, bases, strict=True)
            if base is not None
        }
        gains = [rule(list(scored.values())) for rule in self.shaping]
        gained = {place: sum(rule[k] for rule in gains) for k, place in enumerate(scored)}
        least = min([1.0, *(scored[place].base + gained[place] for place in scored)])
        reasons = [said for said in comparisons.values() if isinstance(said, str)]
        result = []
        for place, trajectory in enumerate(group):
            if place not in answers:
                result.append(trajectory)
            elif place in scored:
                result.append(_rewarded(trajectory, scored[place], gained[place], missing))
            elif place in finished:
                why = reasons[0] if reasons else "the schedule gives this response no match"
                result.append(_faulty(trajectory, f"judge: {why}"))
            else:
                unanswered = Verdict.no_answer("no answer to compare")
                result.append(replace(trajectory, reward=least, verdict=unanswered))
        return result

    async def _compare_all(
        self, conversation: Conversation, answers: Sequence[str]
    ) -> dict[Match, Comparison | str]:
        slots = asyncio.Semaphore(self.max_concurrency)
        matches = checked_matches(self.schedule(len(answers)), len(answers))

        async def play(match: Match) -> Comparison | str:
            async with slots:
                return await self.judge.compare(conversation, *(answers[i] for i in match))

        return dict(zip(matches, await asyncio.gather(*map(play, matches)), strict=True))


def split_response(text: str) -> tuple[str, str]:
    """Return reasoning and answer; the answer is empty if the reasoning never ended."""
    answer = strip_reasoning(text)
    if answer is None:
        return text, ""
    return text[: len(text) - len(answer)], answer.strip()


def _rewarded(trajectory: Trajectory, judged: Judged, gained: float, missing: int) -> Trajectory:
    scaled = min(1.0, max(0.0, (judged.base - 1) / 4))
    status = VerdictStatus.PARTIAL
    if scaled in (0.0, 1.0):
        status = VerdictStatus.CORRECT if scaled else VerdictStatus.WRONG
    verdict = Verdict(
        scaled, status, trajectory.verdict.extracted, reason=f"{judged.base:.2f} points"
    )
    record = {"base": judged.base, "length": gained, "matches_not_judged": missing}
    return replace(
        trajectory,
        verdict=verdict,
        reward=judged.base + gained,
        metadata={**trajectory.metadata, "preference": record},
    )


def _faulty(trajectory: Trajectory, reason: str) -> Trajectory:
    return replace(
        trajectory, verdict=Verdict.fault(reason), reward=0.0, stop_reason=StopReason.ERROR
    )
