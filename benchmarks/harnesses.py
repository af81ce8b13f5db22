"""Wall and processor time of evaluation harnesses on one server: ours, lm-eval, inspect_ai.

    python benchmarks/harnesses.py --lm-eval PYTHON --inspect PYTHON [--problems 1000] [--rounds 3]

Each harness asks the same 1,000 problems of GSM8K's form of tests/mock_server.py, which answers
after 50 ms, with the same number of requests in flight, and scores the answers. PYTHON is an
interpreter that has the peer installed (lm-eval[api] 0.4.13; inspect-ai 0.3.285 with openai). Every
harness runs as the command that its users type, in a process of its own; processor time is that of
the process and its children, start-up included. Rounds take turns; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from mock_server import MockServer

IN_FLIGHT = 64
GSM8K = 1319
REPLY = "We add the two numbers.\n#### 12\nThe answer is \\boxed{12}."
Command = Callable[[Path, str], list[str]]


def write_problems(folder: Path, count: int) -> None:
    """Write the problems for each harness: the same texts, the answer is 12 for every third."""
    rows = [
        {"question": f"Tom has {i} apples and gets {12 if i % 3 == 0 else 13} more, less {i}: how "
                     f"many are there?", "answer": f"Add. #### {12 if i % 3 == 0 else 13}"}
        for i in range(count)
    ]  # fmt: skip
    lines = [json.dumps(row) + "\n" for row in rows]
    (folder / "problems.jsonl").write_text("".join(lines))
    # Our task gsm8k has 1,319 problems, and takes no other number: --limit takes the first.
    whole = (lines * (GSM8K // len(lines) + 1))[:GSM8K]
    (folder / "gsm8k.jsonl").write_text("".join(whole))
    (folder / "gsm_form.yaml").write_text(
        f"""task: gsm_form
dataset_path: json
dataset_kwargs:
  data_files:
    test: {folder / "problems.jsonl"}
test_split: test
output_type: generate_until
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{answer.split('####')[-1].strip()}}}}"
generation_kwargs:
  until: ["Question:"]
  do_sample: false
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
filter_list:
  - name: strict
    filter:
      - function: regex
        regex_pattern: "#### (\\\\-?[0-9\\\\.\\\\,]+)"
      - function: take_first
"""
    )
    (folder / "gsm_inspect.py").write_text(
        f"""from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.scorer import match
from inspect_ai.solver import generate


def sample(row):
    return Sample(input=row["question"], target=row["answer"].split("####")[-1].strip())


@task
def gsm_form():
    data = json_dataset({str(folder / "problems.jsonl")!r}, sample)
    return Task(dataset=data, solver=generate(), scorer=match(numeric=True))
"""
    )


def contenders(args: argparse.Namespace) -> dict[str, Command]:
    """The commands by name."""

    def ours(folder: Path, url: str) -> list[str]:
        return [
            sys.executable, "-m", "cascade.evals.cli", "--task", "gsm8k", "--samples", "1",
            "--base-url", url, "--model", "mock", "--data-dir", str(folder), "--out",
            str(folder / f"run-{time.monotonic_ns()}"), "--concurrency", str(IN_FLIGHT),
            "--limit", str(args.problems), "--json",
        ]  # fmt: skip

    def lm_eval(folder: Path, url: str) -> list[str]:
        model = (
            f"model=mock,base_url={url}/chat/completions,num_concurrent={IN_FLIGHT},"
            f"max_retries=3,tokenized_requests=False"
        )
        return [
            args.lm_eval, "-m", "lm_eval", "--model", "local-chat-completions", "--model_args",
            model, "--tasks", "gsm_form", "--include_path", str(folder), "--apply_chat_template",
            "--output_path", str(folder / "lm"), "--log_samples",
        ]  # fmt: skip

    def inspect(folder: Path, url: str) -> list[str]:
        return [
            args.inspect, "-m", "inspect_ai", "eval", "gsm_inspect.py", "--model",
            "openai/mock", "-M", "responses_api=false", "--model-base-url", url,
            "--max-connections", str(IN_FLIGHT), "--display", "none", "--log-dir",
            str(folder / "inspect-logs"),
        ]  # fmt: skip

    found: dict[str, Command] = {"ours": ours}
    if args.lm_eval:
        found["lm-eval"] = lm_eval
    if args.inspect:
        found["inspect_ai"] = inspect
    return found


def measured(command: Sequence[str], folder: Path, server: MockServer) -> tuple[float, float, int]:
    """Return wall seconds, processor seconds of the process and its children, and requests."""
    server.reset()
    env = os.environ | {
        "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
        "HF_DATASETS_CACHE": str(folder / "cache"),
    }  # fmt: skip
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    asked = server.stats()["requests"]
    shown = re.sub(r"\s+", " ", done.stdout[-300:])
    print(f"    {shown[:200]}", file=sys.stderr)
    return wall, cpu, int(asked)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lm-eval", default="", metavar="PYTHON")
    parser.add_argument("--inspect", default="", metavar="PYTHON")
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    commands = contenders(args)
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    with (
        tempfile.TemporaryDirectory() as place,
        MockServer(latency_seconds=0.05, reply=REPLY) as server,
    ):
        folder = Path(place)
        write_problems(folder, args.problems)
        for _ in range(args.rounds):
            for name, command in commands.items():
                wall, cpu, asked = measured(command(folder, server.base_url), folder, server)
                results[name].append((wall, cpu))
                print(f"{name:10}  {wall:7.2f} s wall  {cpu:7.2f} s CPU  {asked:,} requests")
    ideal = args.problems * 0.05 / IN_FLIGHT
    print(f"ideal wall time {ideal:.2f} s ({args.problems:,} problems, {IN_FLIGHT} in flight)")
    least = {name: min(cpu for _, cpu in rows) for name, rows in results.items()}
    for name, rows in results.items():
        wall = statistics.median(w for w, _ in rows)
        cpu = statistics.median(c for _, c in rows)
        print(f"{name:10}  median {wall:7.2f} s wall, {cpu:7.2f} s CPU (least {least[name]:.2f})")
    peers = [cpu for name, cpu in least.items() if name != "ours"]
    if peers:
        share = least["ours"] / min(peers)
        print(f"ours takes {share:.2f} of the better peer's CPU (wanted: at most 0.5)")


if __name__ == "__main__":
    main()
