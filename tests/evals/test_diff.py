"""`cascade-eval diff`: verdicts that flipped, with their texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from view_runs import HOSTILE, with_text, write_run


def _rescored(eval_main: Any, folder: Path, name: str, *policy: str) -> Path:
    code, _, errors = eval_main(
        "rescore", "--task", "math", "--answers", folder / "gold.jsonl", "--outputs",
        folder / "outputs.jsonl", "--out", folder / name, *policy,
    )  # fmt: skip
    assert code == 0, errors
    return folder / name


def _two_policies(eval_main: Any, folder: Path) -> tuple[Path, Path]:
    """The same outputs under a strict and a lax rule for percent signs."""
    answers = {"p": "50", "q": "7", "r": "3"}
    texts = {"p": "so \\boxed{50\\%}", "q": "so \\boxed{7}", "r": "so \\boxed{4}"}
    rows = [json.dumps({"id": i, "answer": a}) for i, a in answers.items()]
    (folder / "gold.jsonl").write_text("\n".join(rows))
    rows = [json.dumps({"id": i, "response": t}) for i, t in texts.items()]
    (folder / "outputs.jsonl").write_text("\n".join(rows))
    strict = _rescored(eval_main, folder, "a.jsonl")
    lax = _rescored(eval_main, folder, "b.jsonl", "--policy", "percent=sign_optional")
    return strict, lax


def test_two_verifiers_on_the_same_outputs(eval_main: Any, tmp_path: Path) -> None:
    strict, lax = _two_policies(eval_main, tmp_path)
    code, out, _ = eval_main("diff", strict, lax, "--outputs", tmp_path / "outputs.jsonl", "--json")
    result = json.loads(out)
    assert (code, result["common"], result["only_a"]) == (0, 3, 0)
    (flip,) = result["flips"]
    assert flip["id"] == "p"
    assert (flip["a"]["status"], flip["b"]["status"]) == ("wrong", "correct")
    assert flip["a"]["text"] == flip["b"]["text"] == "so \\boxed{50\\%}"
    assert result["moves"] == [{"a": "wrong", "b": "correct", "samples": 1}]
    assert (round(result["score_a"], 2), round(result["score_b"], 2)) == (33.33, 66.67)


def test_the_console_names_the_flip_and_prints_the_shared_text_once(
    eval_main: Any, tmp_path: Path
) -> None:
    strict, lax = _two_policies(eval_main, tmp_path)
    _, out, _ = eval_main("diff", strict, lax, "--outputs", tmp_path / "outputs.jsonl")
    assert "1 of 3 verdicts differ; mean reward 33.33 in A, 66.67 in B" in out
    assert "1 wrong -> correct" in out
    assert out.count("so \\boxed{50\\%}") == 1


def test_two_runs_with_both_texts(eval_main: Any, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", seed=1)
    b = write_run(tmp_path / "b", seed=2, skill=0.9)
    _, out, _ = eval_main("diff", a, b, "--json")
    flips = json.loads(out)["flips"]
    assert flips
    assert all(f["a"]["reward"] != f["b"]["reward"] for f in flips)
    assert all("\\boxed" in f["a"]["text"] and "\\boxed" in f["b"]["text"] for f in flips)
    gains = [f["b"]["reward"] - f["a"]["reward"] for f in flips]
    assert gains == sorted(gains, reverse=True)
    _, out, _ = eval_main("diff", a, b, "--limit", 1)
    assert f"and {len(flips) - 1} more" in out
    assert eval_main("diff", a, a, "--json")[1].count('"flips": []') == 1


def test_hostile_text_is_harmless_in_terminal_and_page(eval_main: Any, tmp_path: Path) -> None:
    def attack(trajectory: Any, rng: Any) -> Any:
        return with_text(trajectory, HOSTILE)

    a = write_run(tmp_path / "a", seed=1, change=attack)
    b = write_run(tmp_path / "b", seed=2, skill=1.0)
    page = tmp_path / "flips.html"
    code, out, errors = eval_main("diff", a, b, "--html", page)
    assert code == 0, errors
    text = page.read_text(encoding="utf-8")
    for shown in (out, text):
        assert not re.search("[\u202a-\u202e\x00-\x08\x1b\ud800]", shown)
        assert "‹U+202E›" in shown
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in text


def test_nothing_in_common_is_an_error(eval_main: Any, tmp_path: Path) -> None:
    rows = [{"task": "t", "id": name, "status": "correct", "reward": 1.0} for name in "pq"]
    for name, row in zip("ab", rows, strict=True):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    code, _, errors = eval_main("diff", tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert code == 2
    assert "no sample in common" in errors
    (tmp_path / "b.jsonl").write_text('{"task": "t", "id": "p", "status": "fine", "reward": 1}\n')
    code, _, errors = eval_main("diff", tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert code == 2
    assert "b.jsonl, line 1: 'fine'" in errors
