"""Curricula: what is drawn, in which shares and order, and that a saved stream goes on exactly."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from itertools import pairwise

import pytest

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.trainer.curriculum import (
    Domain,
    Order,
    Readmission,
    Selection,
    Shuffled,
    SlidingGaussian,
    TaskStream,
)

IDS = tuple(f"t{i}" for i in range(101))
RATES = {task: i / 100 for i, task in enumerate(IDS)}


def stream(order: Order | None = None, *, seed: int = 0) -> TaskStream:
    return TaskStream([Domain("math", IDS, order or Shuffled(), pass_rates=RATES)], seed=seed)


def drawn(source: TaskStream, count: int) -> list[str]:
    return [source.next_group().task_id for _ in range(count)]


def test_selection_drops_the_solved_and_keeps_its_share_of_the_unsolved() -> None:
    ids = tuple(f"t{i}" for i in range(3000))
    rates = {task: (0.0, 0.5, 1.0)[i % 3] for i, task in enumerate(ids)}
    kept = Counter(rates[task] for task in Selection(hard_kept=0.1)(ids, rates))
    assert kept[0.5] == 1000
    assert kept[1.0] == 0
    assert 70 < kept[0.0] < 130
    reordered = Selection(hard_kept=0.1)(ids[::-1], rates)
    assert reordered[::-1] == Selection(hard_kept=0.1)(ids, rates)


def test_selection_takes_a_band() -> None:
    band = Selection(lowest=0.2, highest=0.8, hard_kept=0)(IDS, RATES)
    assert band == [task for task in IDS if 0.2 < RATES[task] < 0.8]


def test_selection_names_what_is_missing() -> None:
    with pytest.raises(DataError, match=r"1 of 2 tasks have no pass rate, the first is 'new'"):
        Selection()(("t1", "new"), RATES)
    with pytest.raises(DataError, match="none of 1 tasks is kept"):
        Selection()(("t100",), RATES)
    with pytest.raises(ConfigError, match="lowest must not be above"):
        Selection(lowest=0.9, highest=0.1)


def test_every_task_comes_once_an_epoch_in_a_new_order() -> None:
    source = stream()
    first, second = drawn(source, len(IDS)), drawn(source, len(IDS))
    assert sorted(first) == sorted(second) == sorted(IDS)
    assert first != second
    assert source.epochs == {"math": 1}
    assert drawn(stream(seed=1), len(IDS)) != first


def test_readmission_leaves_out_what_has_no_gradient() -> None:
    ids = tuple(f"t{i}" for i in range(3000))
    source = TaskStream([Domain("math", ids, Readmission(hard=0.1, easy=0.01))])
    for _ in ids:
        draw = source.next_group()
        source.report("math", draw.task_id, (0.0, 0.5, 1.0)[int(draw.task_id[1:]) % 3])
    epoch: Counter[int] = Counter()
    while source.epochs == {"math": 0} or len(source.state()["domains"]["math"]["left"]) > 0:
        epoch[int(source.next_group().task_id[1:]) % 3] += 1
    assert epoch[1] == 1000
    assert 70 < epoch[0] < 130
    assert 1 <= epoch[2] < 25


def test_readmission_stops_when_nothing_is_left() -> None:
    source = TaskStream([Domain("math", ("a",), Readmission(hard=0, easy=0))])
    source.report("math", source.next_group().task_id, 1.0)
    with pytest.raises(DataError, match="always or never solved"):
        source.next_group()


def test_the_gaussian_slides_from_easy_to_hard() -> None:
    ids = tuple(f"t{i}" for i in range(5000))
    rates = {task: (i % 17) / 16 for i, task in enumerate(ids)}
    order = SlidingGaussian(draws=1000, first_mean=0.9, last_mean=0.2, deviation=0.1)
    source = TaskStream([Domain("math", ids, order, pass_rates=rates)])
    means = [statistics.mean(rates[task] for task in drawn(source, 200)) for _ in range(5)]
    assert all(later < earlier for earlier, later in pairwise(means))
    for number, mean in enumerate(means[1:], start=1):
        assert mean == pytest.approx(order.mean(200 * number + 100), abs=0.05)
    rest = drawn(source, 4000)
    assert len(set(rest)) == 4000


def test_shares_hold_in_every_stretch() -> None:
    shares = {"choice": 0.55, "tools": 0.30, "structure": 0.15}
    source = TaskStream([Domain(name, IDS, share=share) for name, share in shares.items()])
    count: Counter[str] = Counter()
    for number in range(1, 500):
        count[source.next_group().domain] += 1
        assert all(abs(count[name] - share * number) <= 1 for name, share in shares.items())


@pytest.mark.parametrize("order", [Shuffled(), Readmission(), SlidingGaussian(draws=150)])
@pytest.mark.parametrize("stop", [0, 1, 100, 101, 150])
def test_a_saved_stream_goes_on_exactly(order: Order, stop: int) -> None:
    source = stream(order)
    for number in range(stop):
        source.report("math", source.next_group().task_id, number % 3 / 2)
    saved = json.loads(json.dumps(source.state()))
    other = stream(order)
    other.load_state(saved)
    for _ in range(200):
        draw = source.next_group()
        assert other.next_group() == draw
        for each in (source, other):
            each.report("math", draw.task_id, draw.number % 3 / 2)
    assert source.state() == other.state()


def test_a_state_of_another_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed 1"):
        stream().load_state(stream(seed=1).state())
    source = TaskStream([Domain("math", ("x", "y"))])
    source.next_group()
    with pytest.raises(ConfigError, match="holds tasks that this one lacks"):
        stream().load_state(source.state())


def test_bad_reports_and_domains_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'math'"):
        stream().report("maths", "t1", 0.5)
    with pytest.raises(ConfigError, match="'t1' must lie in"):
        stream().report("math", "t1", 1.5)
    with pytest.raises(ConfigError, match="different names"):
        TaskStream([Domain("a", IDS), Domain("a", IDS)])
    with pytest.raises(ConfigError, match="has no tasks"):
        Domain("a", ())
