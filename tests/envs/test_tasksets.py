"""Task sets: files in every format, declared sources, errors that say file, line and field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from cascade.envs import MiniSource, TaskSet, TaskSource, find_source, load_tasks
from cascade.envs.rows import digest_of_rows, read_rows
from cascade.errors import ConfigError, DataError, DataNotFoundError, UnknownNameError

ROWS = [{"id": f"p{i}", "problem": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(6)]


def write_jsonl(path: Path, rows: list[dict[str, str]] = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_all_formats(folder: Path) -> list[Path]:
    import pyarrow
    import pyarrow.parquet

    jsonl = write_jsonl(folder / "a.jsonl")
    packed = folder / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(jsonl.read_bytes()))
    listed = folder / "c.json"
    listed.write_text(json.dumps(ROWS))
    table = folder / "d.csv"
    table.write_text(
        "id,problem,answer\n" + "".join(f"{r['id']},{r['problem']},{r['answer']}\n" for r in ROWS)
    )
    parquet = folder / "e.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), parquet)
    return [jsonl, packed, listed, table, parquet]


def test_every_file_format_gives_the_same_tasks_and_checksum(tmp_path: Path) -> None:
    sets = [load_tasks(path) for path in write_all_formats(tmp_path)]
    assert [task.id for task in sets[0]] == [row["id"] for row in ROWS]
    assert all(s.tasks == sets[0].tasks for s in sets)
    assert len({s.provenance.sha256 for s in sets}) == 1


def test_the_prompt_of_a_plain_row_is_the_published_one(tmp_path: Path) -> None:
    task = load_tasks(write_jsonl(tmp_path / "a.jsonl"))[0]
    assert task.messages[0]["content"] == (
        "What is 0 + 1?\nPlease reason step by step, and put your final answer within \\boxed{}."
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "x", "problem": "p", "answer": "1"', "line 2: not JSON"),
        ('["x"]', "line 2: a row must be an object"),
        ('{"id": "x", "problem": "p"}', "row 2: no field for the answer"),
        ('{"id": "x", "answer": "1"}', "row 2: no field for the question"),
        ('{"id": "p0", "problem": "p", "answer": "1"}', "'p0' occurs twice"),
        ('{"messages": [], "reference": "1"}', "row 2: field 'messages'"),
        ('{"messages": [{"role": "robot", "content": ""}]}', "unknown role 'robot'"),
    ],
)
def test_a_malformed_row_names_file_and_place(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        load_tasks(path)
    assert "bad" in str(caught.value)


def test_a_file_that_is_not_what_its_name_says_is_an_error(tmp_path: Path) -> None:
    fake = tmp_path / "x.jsonl.gz"
    fake.write_bytes(b"not gzip")
    with pytest.raises(DataError, match="gzip"):
        read_rows(fake)
    latin = tmp_path / "y.jsonl"
    latin.write_bytes(b'{"a": "\xe9"}\n')
    with pytest.raises(DataError, match="not UTF-8 at byte 7"):
        read_rows(latin)
    odd = tmp_path / "z.txt"
    odd.write_text("")
    with pytest.raises(DataError, match=r"\.jsonl"):
        read_rows(odd)


def test_an_empty_file_is_no_task_set(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(DataError, match="no rows"):
        load_tasks(empty)


def test_missing_data_names_the_set_the_places_and_the_two_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    source = TaskSource(name="nowhere", files=("folder/part.jsonl",))
    with pytest.raises(DataNotFoundError) as caught:
        source.load(tmp_path)
    message = str(caught.value)
    for part in ("'nowhere'", "nowhere.jsonl", "folder/part.jsonl", "--data-dir", "hub"):
        assert part in message


def test_an_unreachable_hub_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataNotFoundError, match="OfflineModeIsEnabled"):
        TaskSource(name="nowhere", hub="nobody/nowhere").load(None)


def test_a_data_folder_that_does_not_exist_is_named() -> None:
    with pytest.raises(DataNotFoundError, match="/no/such/folder"):
        find_source("aime25").load(Path("/no/such/folder"))


def test_a_truncated_set_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "short.jsonl")
    with pytest.raises(DataError, match=r"has 30 rows, but .* holds 6"):
        TaskSource(name="short", size=30).load(tmp_path)


def test_an_unknown_set_lists_the_near_names() -> None:
    with pytest.raises(UnknownNameError, match="aime25"):
        load_tasks("aime_25")


def test_filter_shuffle_take_skip_and_split_are_pure_and_seeded() -> None:
    whole = MiniSource(kind="arithmetic", size=20).load()
    ids = [task.id for task in whole]
    mixed = whole.shuffle(3)
    assert [task.id for task in whole] == ids
    assert [task.id for task in mixed] != ids
    assert sorted(task.id for task in mixed) == sorted(ids)
    assert whole.shuffle(3).tasks == mixed.tasks
    assert whole.shuffle(4).tasks != mixed.tasks
    assert whole.take(5).tasks + whole.skip(5).tasks == whole.tasks
    first, second = whole.split(0.3, seed=1)
    assert (len(first), len(second)) == (6, 14)
    assert not {t.id for t in first} & {t.id for t in second}
    kept = whole.filter(lambda task: task.reference == whole[0].reference)
    assert all(task.reference == whole[0].reference for task in kept)
    with pytest.raises(ConfigError, match="fraction"):
        whole.split(1.0, seed=0)


def test_duplicate_ids_are_refused() -> None:
    whole = MiniSource(kind="choice", size=2).load()
    with pytest.raises(DataError, match="occurs twice"):
        TaskSet("double", (whole[0], whole[0]), whole.provenance)


def test_nemo_gym_rows_load_as_tasks(tmp_path: Path) -> None:
    row = {
        "responses_create_params": {
            "input": [
                {"role": "developer", "content": "Be brief.", "type": "message"},
                {"role": "user", "content": [{"type": "input_text", "text": "2+2?"}]},
            ],
            "tools": [{"type": "function", "name": "f"}],
        },
        "expected_answer": "4",
        "uuid": "u-1",
        "agent_ref": {"name": "math"},
        "pass_rate": 0.5,
    }
    path = tmp_path / "gym.jsonl"
    path.write_text(json.dumps(row) + "\n")
    task = load_tasks(path)[0]
    assert task.id == "u-1"
    assert [(m["role"], m["content"]) for m in task.messages] == [
        ("system", "Be brief."),
        ("user", "2+2?"),
    ]
    assert task.reference == {"expected_answer": "4"}
    assert task.tools == ({"type": "function", "name": "f"},)
    assert task.metadata == {"agent_ref": {"name": "math"}, "pass_rate": 0.5}


def test_the_digest_does_not_depend_on_the_order_of_fields() -> None:
    assert digest_of_rows([{"a": 1, "b": 2}]) == digest_of_rows([{"b": 2, "a": 1}])
    assert digest_of_rows([{"a": 1}]) != digest_of_rows([{"a": 2}])


SIZES = {"aime24": 30, "aime25": 30, "hmmt_feb25": 30, "math500": 500, "gsm8k": 1319}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_published_sets_load_whole_from_a_data_folder(data_dir: Path, name: str, size: int) -> None:
    tasks = load_tasks(name, data_dir)
    assert len(tasks) == size
    assert tasks.provenance.rows == size
    assert tasks.provenance.licence != "unknown"
    assert all(task.messages and task.reference for task in tasks)


def test_contest_ids_run_from_1_through_both_parts(data_dir: Path) -> None:
    assert [task.id for task in load_tasks("aime25", data_dir)] == [str(i) for i in range(1, 31)]


def test_our_aime_prompts_are_those_of_a_published_evaluation(data_dir: Path) -> None:
    """The QwQ-32B prompts for the 30 AIME 2025 problems, compared by their closing instruction."""
    theirs = read_rows(data_dir / "qwq_eval_prompts" / "aime25.jsonl.gz")
    ours = load_tasks("aime25", data_dir)
    endings = {row["prompt"].rpartition("\n")[2] for row in theirs}
    assert {task.messages[0]["content"].rpartition("\n")[2] for task in ours} == endings
    assert sorted(str(row["answer"]) for row in theirs) == sorted(str(t.reference) for t in ours)
