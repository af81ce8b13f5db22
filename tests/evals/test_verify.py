"""`cascade-eval verify`: a number that does not come out is a miss, and never goes unsaid."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cascade.errors import DataError, DataNotFoundError, SandboxError
from cascade.evals.downloads import Download, fetch_missing
from cascade.evals.golden.aime2025_matharena import SETS
from cascade.evals.verify import Expected, GoldenSet, Outcome, find_sets, golden_sets, replay

AIME = SETS[0]
MODELS = [e.name for e in AIME.expected if not e.name.startswith("R1")]


@pytest.fixture
def all_right(tmp_path: Path) -> Path:
    """A data folder in which every model got everything right."""
    file = tmp_path / AIME.files[0]
    file.parent.mkdir(parents=True)
    rows = [{**dict.fromkeys(MODELS, 100.0), "question": number} for number in range(1, 16)]
    file.write_text(json.dumps(rows))
    return tmp_path


def test_a_changed_number_is_a_miss_and_exit_code_3(eval_main: Any, all_right: Path) -> None:
    code, out, _ = eval_main("verify", "aime2025_matharena", "--data-dir", all_right)
    assert code == 3
    (line,) = [line for line in out.splitlines() if "DeepSeek-R1 " in line]
    assert line.split() == [
        "aime2025_matharena/avg@4", "DeepSeek-R1", "65", "100", "±0.005", "MISS"
    ]  # fmt: skip
    assert "18 numbers of 1 sets: 0 as expected, 18 MISS" in out


def test_a_set_without_data_is_said_as_such(eval_main: Any, all_right: Path) -> None:
    code, out, _ = eval_main("verify", "--data-dir", all_right, "--json")
    assert code == 3
    result = json.loads(out)
    absent = [row for row in result["numbers"] if row["set"] == "gsm8k_tora/tora-70b-v1.0"]
    assert absent[0]["status"] == "no data"
    assert absent[0]["got"] is None
    assert "gsm8k_tora/tora-70b-v1.0.jsonl.gz" in absent[0]["reason"]
    assert result["counts"]["no data"] == len(result["numbers"]) - len(AIME.expected)


def test_nothing_to_verify_is_exit_code_2(
    eval_main: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CASCADE_DATA", raising=False)
    assert eval_main("verify")[0] == 2
    assert eval_main("verify", "--data-dir", tmp_path / "none")[0] == 2
    code, out, errors = eval_main("verify", "--data-dir", tmp_path)
    assert (code, errors.count("\n")) == (2, 1)
    assert " 0 as expected" in out


def test_sets_are_chosen_by_name_folder_or_pattern(eval_main: Any) -> None:
    assert [s.name for s in find_sets(["aime2025_matharena"])] == [AIME.name]
    assert {s.name.partition("/")[0] for s in find_sets(["*/gsm/*"])} == {"zeroeval"}
    assert find_sets([]) == golden_sets()
    code, _, errors = eval_main("verify", "zeroevla")
    assert code == 2
    assert "did you mean 'zeroeval'" in errors


@pytest.mark.parametrize(
    ("numbers", "outcome"),
    [
        ({"score": 50.0}, Outcome.AS_EXPECTED),
        ({"score": 50.1}, Outcome.AS_EXPECTED),
        ({"score": 50.2}, Outcome.MISS),
        ({"score": float("nan")}, Outcome.MISS),
        ({"other": 50.0}, Outcome.MISS),
        ({"score": 50.0, "fault": 1}, Outcome.FAULT),
    ],
)
def test_outcomes(tmp_path: Path, numbers: dict[str, float], outcome: Outcome) -> None:
    """A judge that failed shows nothing, whatever the number is."""
    golden = GoldenSet(
        name="x/y", source="", files=(), measure=lambda data_dir, files: numbers,
        expected=(Expected("score", 50.0, 0.1),),
    )  # fmt: skip
    assert [r.outcome for r in replay(golden, tmp_path)] == [outcome]


def test_a_sandbox_that_fails_is_a_fault_not_a_miss(tmp_path: Path) -> None:
    def measure(data_dir: Path, files: Any) -> dict[str, float]:
        raise SandboxError("no sandbox here")

    golden = GoldenSet(
        name="x/y", source="", files=(), measure=measure, expected=(Expected("score", 1.0),)
    )
    (result,) = replay(golden, tmp_path)
    assert (result.outcome, result.reason) == (Outcome.FAULT, "no sandbox here")


def _served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def published(tmp_path: Path) -> Iterator[str]:
    """A server of one published file, `a.jsonl`."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.jsonl").write_bytes(b'{"a": 1}\n')
    yield from _served(tmp_path / "www")


def test_missing_files_are_fetched_and_checked(published: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(b'{"a": 1}\n').hexdigest()
    packed = Download("s/a.jsonl.gz", f"{published}/a.jsonl", digest, "MIT")
    (file,) = fetch_missing([packed, packed], tmp_path / "data")
    assert gzip.decompress(file.read_bytes()) == b'{"a": 1}\n'
    assert fetch_missing([packed], tmp_path / "data") == []
    with pytest.raises(DataError, match="not the file that was published"):
        fetch_missing([Download("s/b", f"{published}/a.jsonl", "0" * 64, "MIT")], tmp_path / "data")
    with pytest.raises(DataNotFoundError, match="cannot be fetched"):
        fetch_missing([Download("s/c", f"{published}/none", digest, "MIT")], tmp_path / "data")
    assert [f.name for f in (tmp_path / "data" / "s").iterdir()] == ["a.jsonl.gz"]


def test_downloads_are_pinned_and_those_of_the_data_folder(data_dir: Path) -> None:
    """The files that are there have the digests that a download would be checked by."""
    downloads = {d for golden in golden_sets() for d in golden.downloads}
    assert downloads
    for download in downloads:
        assert re.search("/[0-9a-f]{40}/", download.url), download.url
        content = gzip.decompress((data_dir / download.path).read_bytes())
        assert hashlib.sha256(content).hexdigest() == download.sha256, download.path


def test_every_set_states_its_source_and_checks_something() -> None:
    for golden in golden_sets():
        assert "/" in golden.name, golden.name
        assert len(golden.source) > 10, golden.name
        assert golden.files, golden.name
        assert golden.expected, golden.name
        assert all(e.why for e in golden.expected if e.published is not None), golden.name
