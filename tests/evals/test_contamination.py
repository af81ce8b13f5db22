"""`cascade-eval contamination`: planted overlaps are found, near misses are not."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from cascade.evals.contamination import ProblemIndex, scan
from cascade.evals.ngrams import gram_hashes, normalised, normalised_jsonl, words_of
from cascade.types import Message, Task

PROBLEM = (
    "A farmer keeps 17 hens in three sheds. Each morning, every hen of the second shed lays two "
    "eggs; the others lay none at all. How many eggs are there after 5 days if 6 hens live there?"
)
LATEX = r"Let $x \neq 0$ be a real number with $\frac{1}{x} + x = 3$; find $x^4 + \frac{1}{x^4}$."
SHORT = "How many primes lie below 1729?"
WORDS = PROBLEM.split()


def _task(name: str, text: str) -> Task:
    return Task(name, (Message(role="user", content=text),), "0")


TASKS = {"own": [_task("farm", PROBLEM), _task("latex", LATEX), _task("short", SHORT)]}


def _found(tmp_path: Path, *texts: str, n: int = 13) -> dict[str, dict[str, Any]]:
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return {row["id"]: row for row in scan(ProblemIndex(TASKS, n), [file]).rows}


def test_a_whole_problem_is_found_whatever_its_case_and_punctuation(tmp_path: Path) -> None:
    changed = PROBLEM.upper().replace(",", " ,").replace(" hen ", "\n\then — ")
    found = _found(tmp_path, "nothing", f"Question: {changed} Answer: 60")
    assert list(found) == ["farm"]
    row = found["farm"]
    assert (row["share"], row["longest"], row["passages"]) == (1.0, len(WORDS), 1)
    assert row["places"][0]["row"] == 2
    assert row["places"][0]["text"].startswith("a farmer keeps 17 hens in three sheds each")


def test_a_passage_of_n_words_is_found_and_one_of_fewer_is_not(tmp_path: Path) -> None:
    found = _found(tmp_path, f"see {' '.join(WORDS[5:18])} above")
    assert found["farm"]["longest"] == 13
    assert found["farm"]["share"] == pytest.approx(13 / len(WORDS), abs=1e-3)
    assert _found(tmp_path, f"see {' '.join(WORDS[5:17])} above") == {}


def test_near_misses_are_not_found(tmp_path: Path) -> None:
    """A changed word every twelve; the words in another order; a passage across two texts."""
    changed = [w if i % 12 else "goose" for i, w in enumerate(WORDS)]
    half = len(WORDS[:20]) // 2
    assert _found(tmp_path, " ".join(changed)) == {}
    assert _found(tmp_path, " ".join(reversed(WORDS))) == {}
    assert _found(tmp_path, " ".join(WORDS[:half]), " ".join(WORDS[half : half + 10])) == {}
    assert _found(tmp_path, "How many primes lie below 1728?") == {}


def test_a_short_problem_is_found_only_as_a_whole(tmp_path: Path) -> None:
    assert _found(tmp_path, f"Quiz! {SHORT} 269.")["short"]["share"] == 1.0
    assert _found(tmp_path, "How many primes lie below", "1729") == {}
    assert ProblemIndex({"t": [_task("tiny", "Solve x = 2")]}).too_short == 1


def test_latex_survives_the_escapes_of_json(tmp_path: Path) -> None:
    r"""``\neq`` and ``\frac`` are no line feed and no form feed."""
    assert _found(tmp_path, f"{LATEX}\nSolution: 47")["latex"]["share"] == 1.0


@pytest.mark.parametrize(
    "text",
    [
        PROBLEM, LATEX, 'quote " slash / \\ backslash \\\\n',
        "tab\tfeed\fline\r\nend \\u0041 \\\\u0041",
        "Ünïcödé café ＦＵＬＬ ﬁne “quotes” − minus · dot", "中文没有空格 然后 english",
        "emoji 😀 astral 𝔸𝔹 end", "control \x01 and \x1f inside", "half \ud83d pair",
    ],
)  # fmt: skip
@pytest.mark.parametrize("ascii_only", [True, False])
def test_fast_reading_of_json_gives_the_words_of_decoding(text: str, ascii_only: bool) -> None:
    line = json.dumps({"k": text}, ensure_ascii=ascii_only).encode("utf-8", "replace") + b"\n"
    decoded = json.loads(line)["k"]
    assert normalised_jsonl(line).split() == [b"k", *normalised([decoded]).split()]


def test_characters_are_words_where_no_spaces_are_written() -> None:
    assert len(normalised(["中文没有空格"]).split()) == 6 + 1


def _as_messages(path: Path, texts: list[str]) -> None:
    rows = [{"messages": [{"role": "user", "content": t}], "n": i} for i, t in enumerate(texts)]
    path.write_text("\n\n".join(map(json.dumps, rows)))  # blank lines, no feed at the end


def _as_gzip(path: Path, texts: list[str]) -> None:
    path.write_bytes(gzip.compress("".join(f'{{"t": {json.dumps(t)}}}\n' for t in texts).encode()))


def _as_csv(path: Path, texts: list[str]) -> None:
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    path.write_text("".join(f"{i},{text}\n" for i, text in enumerate(quoted)))


def _as_parquet(path: Path, texts: list[str]) -> None:
    parts = [[{"role": "user", "content": text}] for text in texts]
    pyarrow.parquet.write_table(pyarrow.table({"messages": parts}), path)


def _as_nested_parquet(path: Path, texts: list[str]) -> None:
    """Nulls, separators and controls in strings, dictionaries, numbers, lists in lists."""
    deep = [[[text, None]] for text in texts]
    other: list[str | None] = [None, "a\x01b", "naïve \x01", ""]
    parts: list[Any] = [None, [{"role": "user", "n": 1}], [{"role": None, "n": 2}], []]
    columns = {"deep": deep, "other": other, "parts": parts, "number": [1.5, None, 2.5, 3.5]}
    table = pyarrow.table(columns).append_column(
        "kind", pyarrow.array(["x", "y", "x", None]).dictionary_encode()
    )
    pyarrow.parquet.write_table(table, path)


def _as_json(path: Path, texts: list[str]) -> None:
    path.write_text(json.dumps([{"prompt": text} for text in texts]))


def _as_lines(path: Path, texts: list[str]) -> None:
    path.write_text("\n".join(texts))


@pytest.mark.parametrize(
    ("name", "write", "row"),
    [
        ("a.jsonl", _as_messages, 5), ("a.jsonl.gz", _as_gzip, 3), ("a.csv", _as_csv, 3),
        ("a.parquet", _as_parquet, 3), ("b.parquet", _as_nested_parquet, 3),
        ("a.json", _as_json, 3), ("a.txt", _as_lines, 3),
    ],
)  # fmt: skip
def test_every_format_names_file_and_row(
    eval_main: Any, tmp_path: Path, name: str, write: Callable[[Path, list[str]], None], row: int
) -> None:
    write(tmp_path / name, ["nothing here", "nor here", f'He said "hm". {PROBLEM}', "end"])
    own = tmp_path / "own.jsonl"
    own.write_text(json.dumps({"id": "farm", "problem": PROBLEM, "answer": "60"}) + "\n")
    code, out, errors = eval_main("contamination", tmp_path / name, "--against", own, "--json")
    assert code == 0, errors
    result = json.loads(out)
    (match,) = result["matches"]
    assert (match["task"], match["id"], match["share"]) == ("own.jsonl", "farm", 1.0)
    assert (match["places"][0]["file"], match["places"][0]["row"]) == (str(tmp_path / name), row)
    _, out, _ = eval_main("contamination", tmp_path / name, "--against", own)
    assert "1 of 1 problems have a passage" in out
    assert f"row {row}, {len(WORDS)} words: a farmer keeps" in out


def test_phrases_of_many_problems_match_nothing(tmp_path: Path) -> None:
    phrase = "Answer with a single number and nothing else, rounded to the nearest whole number:"
    tasks = [_task(str(i), f"{phrase} {i} plus {i} times {i}") for i in range(9)]
    index = ProblemIndex({"t": tasks})
    assert index.shared_grams > 0
    file = tmp_path / "a.txt"
    file.write_text(f"{phrase} a hundred\n")
    assert scan(index, [file]).rows == ()


def test_a_problem_of_many_sets_is_found_in_each(tmp_path: Path) -> None:
    sets = {f"set{i}": [_task("farm", PROBLEM), _task("farm again", PROBLEM)] for i in range(5)}
    file = tmp_path / "a.txt"
    file.write_text(PROBLEM)
    result = scan(ProblemIndex(sets), [file])
    assert {row["task"] for row in result.rows} == set(sets)
    assert (len(result.rows), result.shared_grams) == (10, 0)


def test_short_problems_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    ends = ("1729?", "1730?", "1731?", "1732?", "1733?")
    tasks = [_task(end, f"How many primes lie below the number {end}") for end in ends]
    file = tmp_path / "a.txt"
    file.write_text("How many primes lie below the number 1731? Many.")
    assert [row["id"] for row in scan(ProblemIndex({"t": tasks}), [file]).rows] == ["1731?"]


def test_every_planted_passage_is_found_across_the_borders_of_batches(tmp_path: Path) -> None:
    """Random texts of three megabytes with 200 passages in them; nothing else is matched."""
    rng = random.Random(1)
    vocabulary = [f"w{i}" for i in range(5000)]
    problems = [" ".join(rng.choices(vocabulary, k=40)) for _ in range(300)]
    lines, planted = [], {}
    for number in range(1, 3001):
        words = rng.choices(vocabulary, k=180)
        if number % 15 == 0:
            problem = number // 15
            planted[str(problem)] = number
            words[90:90] = problems[problem].split()[3:36]
        lines.append(json.dumps({"text": " ".join(words)}) + "\n")
    file = tmp_path / "train.jsonl"
    file.write_text("".join(lines))
    tasks = [_task(str(i), text) for i, text in enumerate(problems)]
    result = scan(ProblemIndex({"t": tasks}), [file])
    assert {row["id"]: row["places"][0]["row"] for row in result.rows} == planted
    assert {row["longest"] for row in result.rows} == {33}
    assert (result.texts, result.bytes_read) == (3000, file.stat().st_size)


def test_hashes_of_n_grams_are_equal_where_the_words_are_and_only_there() -> None:
    rng = random.Random(2)
    names = [f"{i}longerthaneight{i}"[: 1 + i % 14] + str(i) for i in range(50)]
    words = rng.choices(names, k=4000)
    grams = gram_hashes(words_of(normalised([" ".join(words)])).hashes, 3)[:3998]
    assert len(set(grams.tolist())) == len({tuple(words[i : i + 3]) for i in range(3998)})
    again = gram_hashes(words_of(normalised([" ".join(words[100:])])).hashes, 3)
    assert np.array_equal(again[:3898], grams[100:])


def test_what_cannot_be_read_is_an_error(eval_main: Any, tmp_path: Path) -> None:
    def errors_of(name: str, content: bytes, *options: str | Path) -> str:
        (tmp_path / name).write_bytes(content)
        given = options or ("--task", "mini_arithmetic")
        code, _, errors = eval_main("contamination", tmp_path / name, *given)
        assert code == 2
        return str(errors)

    assert "line 3: not a JSON object" in errors_of("a.jsonl", b'{"a": 1}\n\nhello\n')
    assert "line 1: not JSON" in errors_of("b.jsonl", b'{"a": \n')
    assert "rows are read from" in errors_of("c.xml", b"<a/>")
    assert "not CSV" in errors_of("g.csv", b"a,b\n1,2,3\n")
    assert "not a Parquet file" in errors_of("d.parquet", b"PAR1 no")
    assert "6 words or more" in errors_of("e.txt", b"x", "--task", "mini_choice", "--ngram", "3")
    assert "name a task, a suite or a file" in errors_of("f.txt", b"x", "--limit", "3")
    assert "there is no training file" in eval_main(
        "contamination", tmp_path / "none.jsonl", "--task", "mini_arithmetic"
    )[2]  # fmt: skip


def test_real_sets_overlap_where_they_are_known_to(eval_main: Any, data_dir: Path) -> None:
    """MMLU-Pro was drawn from older sets: it holds problems of MATH's test split word for word."""
    code, out, errors = eval_main(
        "contamination", data_dir / "mmlu_pro" / "gemini-1.5-flash-002.jsonl.gz",
        "--task", "math500", "--data-dir", data_dir, "--json",
    )  # fmt: skip
    assert code == 0, errors
    whole = {row["id"] for row in json.loads(out)["matches"] if row["share"] == 1.0}
    assert "test/number_theory/483.json" in whole
