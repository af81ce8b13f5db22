"""The error tree: one root, picklable, messages that name what was given."""

from __future__ import annotations

import pickle

import pytest

from cascade import errors
from cascade.errors import CascadeError, UnknownNameError

CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_one_root_and_can_be_pickled(kind: type[CascadeError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what was given")))
    assert isinstance(error, CascadeError)
    assert type(error) is kind
    assert str(error) == "what was given"


def test_an_unknown_name_lists_the_near_ones() -> None:
    error = UnknownNameError.near("task", "aime52", ["aime25", "gsm8k"])
    assert str(error) == "unknown task 'aime52'; did you mean 'aime25'?"


def test_an_unknown_name_without_near_ones_lists_all() -> None:
    assert "known: a, b" in str(UnknownNameError.near("suite", "zzz", ["b", "a"]))
