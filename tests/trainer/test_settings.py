"""Settings from the command line: types, ranges, names; and what changed between two runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest

from cascade.errors import ConfigError, UnknownNameError
from cascade.trainer.recipe import Pretrained, Recipe
from cascade.trainer.settings import Range, changes, check_fields, override, resolved
from cascade.trainer.sft_stage import SftStage


@dataclass(frozen=True, slots=True)
class Inner:
    learning_rate: Annotated[float, Range(above=0, high=1)] = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    kind: Literal["plain", "fancy"] = "plain"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    size: Annotated[int, Range(1)] | None = None
    careful: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


def recipe() -> Recipe:
    return Recipe(
        name="r",
        model=Pretrained("somewhere"),
        stages=(SftStage(steps=5), SftStage(name="again", steps=7)),
    )


def test_values_are_read_as_the_type_of_their_field() -> None:
    given = ["inner.lr=2e-3", "betas=0.8, 0.9", "kind=fancy", "size=1e3", "careful=yes"]
    assert override(Outer(), given) == Outer(Inner(0.002, (0.8, 0.9), "fancy"), 1000, True)
    assert override(Outer(size=3), ["size=none"]).size is None


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("size=0", r"size must be 1 or more, got 0"),
        ("size=2.5", r"size must be a whole number, 1 or more or none, got '2.5'"),
        ("inner.lr=7", r"inner.lr=7: learning_rate must be more than 0 and at most 1, got 7"),
        ("lr=nan", r"learning_rate must be more than 0 and at most 1, got nan"),
        ("kind=odd", r"kind must be one of plain, fancy, got 'odd'"),
        ("careful=maybe", r"careful must be true or false, got 'maybe'"),
        ("size", r"--set needs FIELD=VALUE, got 'size'"),
        ("inner=3", r"inner must be set in the recipe file"),
        ("size.low=3", r"size is None, it has no fields"),
    ],
)
def test_a_wrong_value_names_field_value_and_allowed_range(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(Outer(), [assignment])


@pytest.mark.parametrize(
    ("assignment", "near"),
    [
        ("checkpoint_evry=3", "checkpoint_every"),
        ("sft.stepz=3", "sft.steps"),
        ("sft.batch_row=3", "sft.batch_rows"),
        ("stf.steps=3", "sft.steps"),
    ],
)
def test_an_unknown_field_gives_the_near_names(assignment: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean .*'{near}'"):
        override(recipe(), [assignment])


def test_stages_are_addressed_by_name_and_the_top_level_works_on_any_recipe() -> None:
    changed = override(recipe(), ["again.steps=9", "seed=3", "checkpoint_every=2", "steps=10"])
    assert [stage.steps for stage in changed.stages] == [5, 9]
    assert (changed.seed, changed.checkpoint_every, changed.total_steps) == (3, 2, 10)


@pytest.mark.parametrize(
    ("steps", "planned"), [(3, [5]), (5, [5]), (6, [5, 7]), (12, [5, 7]), (20, [5, 15])]
)
def test_the_steps_of_a_run_cut_it_short_or_lengthen_its_last_stage(
    steps: int, planned: list[int]
) -> None:
    assert [s.steps for s in override(recipe(), [f"steps={steps}"]).plan()] == planned


def test_changes_between_two_runs_are_named() -> None:
    before, after = resolved(recipe()), resolved(override(recipe(), ["again.steps=8", "seed=1"]))
    assert list(changes(before, after)) == ["stages.again.steps: 7 -> 8", "seed: 0 -> 1"]
