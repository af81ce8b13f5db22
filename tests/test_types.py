"""The shared types refuse values that training or a report could not use."""

from __future__ import annotations

import pickle

import pytest

from cascade.errors import ConfigError
from cascade.types import SamplingParams, Verdict, VerdictStatus


@pytest.mark.parametrize("reward", [-0.1, 1.5, float("nan"), float("inf")])
def test_a_reward_outside_zero_to_one_is_refused(reward: float) -> None:
    with pytest.raises(ConfigError, match="reward"):
        Verdict(reward, VerdictStatus.PARTIAL)


@pytest.mark.parametrize(
    ("reward", "status"),
    [(0.5, "correct"), (1.0, "wrong"), (1.0, "no_answer"), (1.0, "fault")],
)
def test_a_reward_fits_its_status(reward: float, status: str) -> None:
    with pytest.raises(ConfigError, match=status):
        Verdict(reward, VerdictStatus(status))


def test_a_fault_is_not_a_wrong_answer() -> None:
    assert Verdict.fault("worker died").is_fault
    assert not Verdict.wrong("4").is_fault


def test_verdicts_can_be_pickled() -> None:
    verdict = Verdict.correct("4", "equal integers")
    assert pickle.loads(pickle.dumps(verdict)) == verdict


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", -1.0), ("temperature", float("nan")), ("top_p", 0.0), ("top_p", 1.1),
     ("top_k", -1), ("max_tokens", 0)],
)  # fmt: skip
def test_sampling_that_no_engine_can_do_is_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        SamplingParams(**{field: value})  # type: ignore[arg-type]
