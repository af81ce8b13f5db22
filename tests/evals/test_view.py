"""`cascade-eval view` in a real browser: opened from disk, without a server or any request."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cascade.envs.trajectories import read_trajectories
from cascade.evals.view.parts import script_call
from cascade.types import Completion, Message, StopReason, Trajectory, Verdict, VerdictStatus
from conftest import unavailable
from view_runs import HOSTILE, with_text, write_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        unavailable("there is no program chromium (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=_FLAGS)
        yield running
        running.close()


class Window:
    """A page that was opened from disk, all that it asked for, and all that went wrong in it."""

    def __init__(self, browser: Browser, index: Path) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1300, "height": 800})
        self.page.set_default_timeout(20_000)
        self.index = index
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._on_console)
        self.open()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def open(self, fragment: str = "") -> None:
        self.page.goto("about:blank")
        self.page.goto(self.index.as_uri() + fragment)
        self.page.wait_for_selector("body[data-ready]")

    def count(self) -> str:
        return self.page.locator("#count").inner_text()

    def wait_for_count(self, text: str) -> None:
        self.page.wait_for_function(
            "text => document.getElementById('count')?.innerText === text", arg=text
        )

    def search(self, text: str) -> None:
        self.page.keyboard.press("/")
        self.page.keyboard.type(text)

    def check(self) -> None:
        """Nothing failed, and nothing was asked for but files of this folder."""
        assert self.errors == []
        home = self.index.parent.as_uri() + "/"
        outside = [u for u in self.requests if not u.startswith((home, "data:,", "about:"))]
        assert outside == []
        self.page.close()


@pytest.fixture
def view(browser: Browser, eval_main: Any, tmp_path: Path) -> Iterator[Any]:
    """Build the view of some runs and open it."""
    windows: list[Window] = []

    def build(*arguments: str | Path) -> Window:
        code, out, errors = eval_main("view", *arguments)
        assert code == 0, errors
        windows.append(Window(browser, Path(out.strip())))
        return windows[-1]

    yield build
    for window in windows:
        window.check()


def _trajectories(folder: Path) -> list[Trajectory]:
    return list(read_trajectories(folder / "trajectories.jsonl"))


def test_scores_stand_first(view: Any, tmp_path: Path) -> None:
    window = view(write_run(tmp_path / "run"))
    report = json.loads((tmp_path / "run" / "report.json").read_text())["tasks"]["sums"]
    row = window.page.locator("table.scores tbody tr").first.inner_text()
    assert f"{report['score']:.2f} avg@4" in row
    assert f"{report['interval'][0]:.1f} to {report['interval'][1]:.1f}" in row
    assert window.page.title() == "model-0 – evaluation"


def test_filters_and_their_link(view: Any, tmp_path: Path) -> None:
    """A filter is in the address: opened anew, the same samples are there."""
    run = write_run(tmp_path / "run")
    wrong = sum(t.verdict.status is VerdictStatus.WRONG for t in _trajectories(run))
    long = sum((t.completions[0].num_tokens or 0) >= 40 for t in _trajectories(run))
    window = view(run)
    window.page.keyboard.press("3")
    assert window.count() == "24 of 24 samples"
    window.page.get_by_role("button", name="✗ wrong").click()
    assert window.count() == f"{wrong} of 24 samples"
    assert window.page.locator(".row .badge.c").count() == 0
    window.open("#" + window.page.url.partition("#")[2])
    assert window.count() == f"{wrong} of 24 samples"
    window.page.keyboard.press("x")
    window.page.get_by_placeholder("tokens from").fill("40")
    window.page.keyboard.press("Enter")
    assert window.count() == f"{long} of 24 samples"


def test_full_text_search_finds_a_word_of_the_reasoning(view: Any, tmp_path: Path) -> None:
    """Over several parts of transcripts; the match is marked, its fold open."""
    needle = "Quetzalcoatlus"

    def hide(trajectory: Trajectory, rng: random.Random) -> Trajectory:
        if (trajectory.task_id, trajectory.sample) != ("sums-4", 2):
            return trajectory
        return with_text(trajectory, f"<think>\nA {needle} flew.\n</think>\n\\boxed{{4}}")

    window = view(write_run(tmp_path / "run", filler=20_000, change=hide))
    assert len(list((window.index.parent / "data").glob("a-0-*.js"))) > 3
    window.search(needle.lower())
    window.wait_for_count("1 of 24 samples")
    assert "sums-4 #2" in window.page.locator(".row").inner_text()
    window.page.locator(".row").click()
    assert window.page.locator("details.reasoning[open] mark").inner_text() == needle
    window.page.keyboard.press("/")
    window.page.keyboard.type("nowhere to be found")
    window.wait_for_count("0 of 24 samples")


def test_a_link_leads_to_a_sample(view: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", problems=12)
    wanted = next(t for t in _trajectories(run) if (t.task_id, t.sample) == ("sums-10", 3))
    window = view(run)
    window.open("#view=samples&problem=sums:sums-10&sample=3")
    panel = window.page.locator("#panel")
    panel.locator(".message.assistant").wait_for()
    assert "What is 10 + 0?" in panel.locator(".message.user").inner_text()
    assert f"\\boxed{{{wanted.verdict.extracted}}}" in panel.inner_text()
    assert panel.locator("details.reasoning[open]").count() == 0
    window.page.keyboard.press("ArrowLeft")
    window.page.wait_for_function("() => location.hash.endsWith('sample=2')")
    window.page.go_back()
    window.open("#view=samples&problem=sums:nosuch&sample=0")
    assert "no such sample" in panel.inner_text()


def test_keys_lead_through_the_samples(view: Any, tmp_path: Path) -> None:
    window = view(write_run(tmp_path / "run"))
    for key in "jjj":
        window.page.keyboard.press(key)
    window.page.wait_for_function("() => location.hash.includes('sample=2')")
    window.page.locator(".message.assistant").wait_for()
    window.page.keyboard.press("r")
    window.page.locator("details.reasoning[open] .text").wait_for()
    window.page.keyboard.press("t")
    assert window.page.evaluate("document.documentElement.dataset.theme") == "dark"
    window.page.keyboard.press("?")
    assert "samples of the same problem" in window.page.locator("dialog").inner_text()
    window.page.keyboard.press("Escape")
    window.page.keyboard.press("2")
    assert "easiest first" in window.page.locator("#main").inner_text()


def test_a_cell_of_the_heat_map_opens_its_sample(view: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    window = view(run)
    window.open("#view=problems&order=id")
    assert window.page.locator("figcaption").all_inner_texts() == [
        "6 problems, a cell a sample", "Length in tokens", "Time in seconds",
        "Is the majority right? Accuracy in %, by its share of votes in %",
    ]  # fmt: skip
    box = window.page.locator("canvas.heat").bounding_box()
    assert box is not None
    window.page.mouse.click(box["x"] + 150 + 16 + 8, box["y"] + 8)
    window.page.locator(".message.assistant").wait_for()
    assert window.page.url.endswith("#view=samples&task=sums&problem=sums%3Asums-0&sample=1")


def test_tool_calls_and_test_results_are_shown(view: Any, tmp_path: Path) -> None:
    call = {"id": "1", "function": {"name": "look_up", "arguments": '{"key": "the moon"}'}}
    written = (
        '<tool_call>\n{"name": "add", "arguments": {"code": "a = 1\\nprint(a)"}}\n</tool_call>'
    )

    def use_tools(trajectory: Trajectory, rng: random.Random) -> Trajectory:
        messages = (
            *trajectory.messages[:1],
            Message(role="assistant", content=f"Let me see.\n{written}"),
            Message(role="tool", name="add", content="1"),
            Message(role="assistant", content="<tool_call>\n<function=tell>\nall</tool_call>"),
            Message(role="assistant", content="", tool_calls=[call]),
            Message(role="tool", content="it is far away"),
            Message(role="assistant", content="Done."),
        )
        turn = Completion("", StopReason.TOOL_CALLS, num_tokens=5)
        last = Completion("Done.", StopReason.STOP, "I thought about it", num_tokens=7)
        parts = {"test 1": 1.0, "test 2": 0.0, "__proto__": 0.5, "constructor": 1.0}
        verdict = Verdict(0.5, VerdictStatus.PARTIAL, None, parts, "half of the tests")
        return replace(
            trajectory, messages=messages, completions=(turn, turn, turn, last), verdict=verdict
        )

    window = view(write_run(tmp_path / "run", problems=1, samples=1, change=use_tools))
    window.open("#view=samples&problem=sums:sums-0&sample=0")
    panel = window.page.locator("#panel")
    panel.locator(".message").nth(6).wait_for()
    calls = panel.locator(".call").all_inner_texts()
    assert panel.locator(".call code").all_inner_texts() == ["add", "tell", "look_up"]
    assert "print(a)" in calls[0]
    assert '"key": "the moon"' in calls[2]
    assert "it is far away" in panel.locator(".message.tool").nth(1).inner_text()
    assert panel.locator("table.parts tr").all_inner_texts() == [
        "✓\ttest 1\t1", "✗\ttest 2\t0", "◐\t__proto__\t0.5", "✓\tconstructor\t1",
    ]  # fmt: skip
    assert "Reasoning, 18 characters" in panel.locator(".message.assistant").last.inner_text()
    assert "reward" in panel.locator(".facts").inner_text()


def test_two_runs_beside_each_other(view: Any, eval_main: Any, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", seed=1)
    b = write_run(tmp_path / "b", seed=2, skill=0.9)
    _, out, _ = eval_main("compare", a, b, "--json")
    expected = json.loads(out)["tasks"][0]
    rewards = [{(t.task_id, t.sample): t.reward for t in _trajectories(run)} for run in (a, b)]
    flipped = sum(rewards[0][key] != rewards[1][key] for key in rewards[0])
    window = view(a, b, "--out", tmp_path / "both")
    window.page.get_by_role("link", name="Comparison").click()
    row = window.page.locator("table.scores tbody tr").inner_text()
    assert f"{expected['difference']:+.2f}" in row
    assert expected["sentence"] in row
    window.page.get_by_role("button", name="Samples whose verdicts differ").click()
    assert window.count() == f"{flipped} of 24 samples"
    window.page.locator(".row").first.click()
    window.page.locator(".episode").nth(1).wait_for()
    badges = window.page.locator(".episode .verdict > .badge").all_inner_texts()
    assert sorted(badges) == ["✓ correct", "✗ wrong"]


def test_runs_without_a_common_task_are_shown_all_the_same(view: Any, tmp_path: Path) -> None:
    def rename(trajectory: Trajectory, rng: random.Random) -> Trajectory:
        return replace(trajectory, metadata={"task": "other"})

    b = write_run(tmp_path / "b", seed=2, change=rename)
    (b / "report.json").unlink()
    window = view(write_run(tmp_path / "a"), b)
    window.page.get_by_role("link", name="Comparison").click()
    assert "the runs are of different tasks" in window.page.locator(".attention").inner_text()


def test_hostile_output_stays_text(view: Any, tmp_path: Path) -> None:
    """Scripts, bidi, lone surrogates, control characters: in texts, names, answers and reasons."""

    def attack(trajectory: Trajectory, rng: random.Random) -> Trajectory:
        call = {"function": {"name": HOSTILE, "arguments": HOSTILE}}
        told = Message(role="tool", name=HOSTILE, content=HOSTILE)
        said = Message(role="assistant", content=HOSTILE, tool_calls=[call])
        verdict = Verdict(0.5, VerdictStatus.PARTIAL, HOSTILE, {HOSTILE: 0.5}, HOSTILE)
        return replace(
            with_text(trajectory, f"<think>{HOSTILE}</think>{HOSTILE}"),
            task_id=f"{trajectory.task_id}{HOSTILE}",
            messages=(*trajectory.messages, told, said), verdict=verdict,
            metadata={"task": f"sums{HOSTILE}"},
        )  # fmt: skip

    run = write_run(tmp_path / "run", change=attack)
    (run / "report.json").unlink()
    window = view(run)
    for key in ("1", "2", "3", "4", "3"):
        window.page.keyboard.press(key)
    window.page.keyboard.press("j")
    window.page.locator(".message.assistant").nth(1).wait_for()
    window.page.keyboard.press("r")
    window.search("window.hacked")
    window.wait_for_count("24 of 24 samples")
    text = window.page.locator("#panel").inner_text()
    assert "<script>window.hacked = 1</script>" in text
    assert "‹U+202E›" in text
    assert "‹U+D800›" in text
    assert "␛[31m" in text
    assert not re.search("[\u202a-\u202e\x00-\x08\x1b]", window.page.locator("body").inner_text())
    assert window.page.evaluate("window.hacked") is None
    assert window.page.evaluate("document.querySelectorAll('#main img, #main script').length") == 0


def test_a_response_of_ten_megabytes_is_shown_in_slices(view: Any, tmp_path: Path) -> None:
    huge = "<think>\n" + "word " * 2_000_000 + "</think>\n" + "x" * 200_000 + " END"

    def swell(trajectory: Trajectory, rng: random.Random) -> Trajectory:
        return with_text(trajectory, huge) if trajectory.task_id == "sums-1" else trajectory

    window = view(write_run(tmp_path / "run", problems=3, samples=1, change=swell))
    window.open("#view=samples&problem=sums:sums-1&sample=0")
    answer = window.page.locator(".message.assistant > .text")
    answer.wait_for()
    assert len(answer.inner_text()) < 70_000
    window.page.get_by_role("button", name="Show more").click()
    assert answer.inner_text().rstrip().endswith("END")


def test_what_was_killed_can_be_viewed(view: Any, tmp_path: Path) -> None:
    """No report, a torn last line, a fault that was tried again: the last line counts."""
    run = write_run(tmp_path / "run")
    (run / "report.json").unlink()
    file = run / "trajectories.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    fault = {**json.loads(lines[0]), "verdict": {"reward": 0.0, "status": "fault"}}
    file.write_bytes(json.dumps(fault).encode() + b"\n" + b"".join(lines[:10]) + lines[10][:50])
    window = view(file, "--out", tmp_path / "pages")
    assert "without a report" in window.page.locator("#notice").inner_text()
    window.page.keyboard.press("3")
    assert window.count() == "10 of 10 samples"
    assert window.page.locator(".row .badge.f").count() == 0


def test_a_view_is_replaced_and_nothing_else_is(eval_main: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert eval_main("view", run)[0] == 0
    (run / "view" / "data" / "a-0-99.js").write_text("stale")
    assert eval_main("view", run)[0] == 0
    assert not (run / "view" / "data" / "a-0-99.js").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("my home page")
    code, _, errors = eval_main("view", run, "--out", tmp_path / "mine")
    assert code == 2
    assert "no view of ours" in errors
    assert (tmp_path / "mine" / "index.html").read_text() == "my home page"


def test_what_is_no_run_is_an_error(eval_main: Any, tmp_path: Path) -> None:
    assert "no such run folder" in eval_main("view", tmp_path / "nothing")[2]
    (tmp_path / "bad.jsonl").write_text('{"format": "something"}\n')
    assert "bad.jsonl, line 1" in eval_main("view", tmp_path / "bad.jsonl")[2]
    (tmp_path / "empty.jsonl").write_text("")
    assert "no sample to show" in eval_main("view", tmp_path / "empty.jsonl")[2]


def test_data_scripts_hold_no_markup_and_keep_every_character() -> None:
    script = script_call("f", {"text": HOSTILE, "__proto__": 1, "nan": float("nan")})
    assert script.isascii()
    assert "<" not in script
    inside = re.fullmatch(r'f\(JSON\.parse\((".*")\)\);\n', script)
    assert inside is not None
    value = json.loads(json.loads(inside[1]))
    assert value == {"text": HOSTILE, "__proto__": 1, "nan": None}
