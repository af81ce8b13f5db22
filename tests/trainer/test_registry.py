"""Teachers bind by name and checksum, wrong bindings name themselves; scores have intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.trainer.registry import Entry, Registry, check_same_tokenizer, weights_digest
from cascade.trainer.scores import Score, change, score_of
from cascade.trainer.tokenizer import toy_tokenizer

GOOD, MIDDLING, BAD = score_of([1.0] * 40), score_of([1.0] * 35 + [0.0] * 5), score_of([0.0] * 40)


def weights(folder: Path, content: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(content)
    return weights_digest(folder)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """`sft` is good at math, `if` at instructions; `outside` is declared for code."""
    rows: tuple[tuple[str, dict[str, Score], tuple[str, ...]], ...] = (
        ("sft", {"math": GOOD, "if": BAD}, ()),
        ("if", {"math": BAD, "if": GOOD}, ()),
        ("outside", {}, ("code",)),
    )
    entries = tuple(
        Entry(name, name, weights(tmp_path / name, name.encode()), scores, teaches)
        for name, scores, teaches in rows
    )
    return Registry(tmp_path, entries)


def test_the_best_checkpoint_teaches_and_the_first_of_equals(registry: Registry) -> None:
    assert {domain: entry.name for domain, entry in registry.teachers().items()} == {
        "math": "sft", "if": "if",
    }  # fmt: skip
    again = registry.with_entry(Entry("later", "sft", "", {"math": GOOD}))
    assert again.best("math").name == "sft"
    assert registry.bind("code", "outside").name == "outside"


@pytest.mark.parametrize(
    ("domain", "name", "error", "why"),
    [
        ("if", "sft", ConfigError, "'sft' is bound to domain 'if'.*but 'if' has 100"),
        ("math", "outside", ConfigError, "neither evaluated on it nor declared.*code"),
        ("math", "sftt", UnknownNameError, "did you mean 'sft'"),
        ("chess", None, ConfigError, "'chess'.*scores for: if, math"),
    ],
)
def test_a_wrong_binding_names_itself(
    registry: Registry, domain: str, name: str | None, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        registry.bind(domain, name)


def test_an_empty_registry_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it is empty"):
        Registry.load(tmp_path / "registry.json").bind("math")


def test_folders_that_changed_places_are_noticed(registry: Registry, tmp_path: Path) -> None:
    assert registry.check(registry.get("sft")) == tmp_path / "sft"
    (tmp_path / "sft").rename(tmp_path / "x")
    (tmp_path / "if").rename(tmp_path / "sft")
    (tmp_path / "x").rename(tmp_path / "if")
    with pytest.raises(ConfigError, match="are those of 'if', not those of 'sft'"):
        registry.check(registry.get("sft"))
    (tmp_path / "sft" / "model.safetensors").write_bytes(b"else")
    with pytest.raises(ConfigError, match="unknown to the registry"):
        registry.check(registry.get("sft"))
    (tmp_path / "sft" / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="no safetensors file"):
        registry.check(registry.get("sft"))


def test_it_is_read_as_it_was_written(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    registry.save(path)
    assert Registry.load(path) == registry
    path.write_text(json.dumps({"format": "other/9", "entries": []}))
    with pytest.raises(DataError, match="other/9"):
        Registry.load(path)
    with pytest.raises(ConfigError, match="two checkpoints named 'sft'"):
        Registry(tmp_path, (*registry.entries, registry.entries[0]))


def test_another_tokenizer_is_refused_with_the_first_id_that_differs() -> None:
    student, teacher = toy_tokenizer(), toy_tokenizer(more_phrases=("Guten Tag",))
    check_same_tokenizer(student, toy_tokenizer(), "math")
    with pytest.raises(ConfigError, match=f"id {len(student)} is 'Guten Tag' there and None"):
        check_same_tokenizer(student, teacher, "math")
    ends: Any = toy_tokenizer()
    ends.eos_token = "<|im_start|>"
    with pytest.raises(ConfigError, match="ends messages with"):
        check_same_tokenizer(student, ends, "math")


def test_intervals() -> None:
    # Wilson's interval, from tables.
    for rewards, bounds in (([1.0] * 50, (0.9287, 1.0)), ([0.0, 1.0] * 25, (0.3664, 0.6336))):
        score = score_of(rewards)
        assert (score.low, score.high) == pytest.approx(bounds, abs=1e-3)
    with pytest.raises(ConfigError, match="7 faults"):
        score_of([], 7)


def test_a_drop_is_judged_task_by_task() -> None:
    assert BAD.clearly_below(GOOD)
    assert not GOOD.clearly_below(BAD)
    assert not MIDDLING.clearly_below(MIDDLING)
    three = score_of([1.0] * 37 + [0.0] * 3)
    assert not three.clearly_below(GOOD)  # three tasks of forty may be chance
    assert score_of([1.0] * 30 + [0.0] * 10).clearly_below(GOOD)
    assert change(GOOD, three)[0] == pytest.approx(-3 / 40)
    with pytest.raises(ConfigError, match="same set"):
        change(GOOD, score_of([1.0]))
