"""Every registered task, and finding them by name."""

from __future__ import annotations

import pytest

from cascade.envs import env_ids
from cascade.errors import ConfigError, UnknownNameError
from cascade.evals.suites import SUITES, find_suite
from cascade.evals.task import Protocol, find_task, metric_k, task_names
from cascade.types import SamplingParams

TASKS = task_names()


@pytest.mark.parametrize("name", TASKS)
def test_a_task_names_its_data_environment_and_protocol(name: str) -> None:
    """What `show TASK` prints is there for every task."""
    task = find_task(name)
    assert task.env in env_ids()
    assert task.source.size is not None
    assert task.licence != "unknown"
    assert task.description
    assert task.protocol.source


@pytest.mark.parametrize("name", TASKS)
def test_published_numbers_are_points_with_a_source(name: str) -> None:
    for published in find_task(name).published:
        # One is below 1 point: 0.7 on LiveCodeBench Pro's hard problems.
        assert published.score > 1.0 or name == "livecodebench_pro_25q1_hard"
        assert published.score <= 100.0 or published.metric == "points"
        assert published.source
        assert published.model


@pytest.mark.parametrize("name", [t for t in TASKS if not find_task(t).toy])
def test_a_real_task_has_a_toy_counterpart(name: str) -> None:
    """`--mini` works for every suite; toys carry no published numbers."""
    mini = find_task(name).mini
    assert mini is not None
    toy = find_task(mini)
    assert toy.toy
    assert not toy.published


def test_the_reasoning_suite_is_what_the_documentation_says() -> None:
    assert find_suite("reasoning").tasks == (
        "aime24", "aime25", "aime26", "hmmt_feb25", "math500", "gsm8k", "gpqa_diamond", "mmlu_pro",
    )  # fmt: skip


def test_suites_name_tasks_that_exist() -> None:
    for suite in SUITES.values():
        for name in suite.tasks:
            assert find_task(name).name == name


@pytest.mark.parametrize("name", ["aime25", "aime26", "hmmt_feb25"])
def test_contests_follow_the_published_protocol(name: str) -> None:
    """avg@64, temperature 1, top-p 1, 131,072 tokens (Nemotron-Cascade 2, appendix A)."""
    protocol = find_task(name).protocol
    assert (protocol.samples, protocol.headline) == (64, "avg@k")
    assert protocol.sampling == SamplingParams(temperature=1.0, top_p=1.0, max_tokens=131_072)


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'aime25'"):
        find_task("aime_25")
    with pytest.raises(UnknownNameError, match="did you mean 'reasoning'"):
        find_suite("resoning")


def test_a_metric_of_more_samples_than_are_drawn_is_refused() -> None:
    """No number is ever divided by samples that are not there."""
    with pytest.raises(ConfigError, match="pass@8 needs 8 samples, the protocol has 4"):
        Protocol("test", samples=4, metrics=("pass@8",))


@pytest.mark.parametrize("metric", ["accuracy", "avg", "avg@0", "avg@-1", "pass^3"])
def test_unknown_metrics_are_refused(metric: str) -> None:
    with pytest.raises(ConfigError, match="metrics are"):
        metric_k(metric, 4)
