"""Checking the IFEval responses, against the original checker in one run; and a million texts.

    python benchmarks/instruction_checking.py --peer-python PYTHON [--rounds 5]
    python benchmarks/instruction_checking.py --texts 1000000

The first form times strict and loose judging of the 541 prompts of IFEval with the published
GPT-4 responses (one is for a prompt that was changed later, which makes no difference to speed).
PYTHON is an interpreter with ``lm-eval[ifeval]``, which carries the original checkers of
google-research, and the NLTK data ``punkt_tab`` (in NLTK_DATA, for instance). Its process stays
open; the two take turns, both warm, and medians are compared. Verdicts that differ are listed.

The second form puts random and mutated texts to every rule under both standards. It counts the
texts that raise, the slowest check, and the share of random ones that earn a reward, for the
instructions that a text without meaning cannot follow by its size or by what it leaves out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import IO, Any

from cascade.verifiers import instructions
from cascade.verifiers.instructions import RULES, SOUND_RULES
from cascade.verifiers.instructions.junk import junk, mutated

Row = dict[str, Any]
DATA = Path(os.environ.get("CASCADE_DATA", Path(__file__).parents[2] / "shared" / "data"))

PEER = """
import json, logging, sys, time
import langdetect
from lm_eval.tasks.ifeval import utils
langdetect.DetectorFactory.seed = 0
logging.disable(logging.CRITICAL)
rows = json.loads(sys.stdin.readline())
inputs = [utils.InputExample(0, r["instruction_id_list"], r["prompt"], r["kwargs"]) for r in rows]
for _ in sys.stdin:
    start = time.perf_counter()
    found = {
        "strict": [utils.test_instruction_following_strict(i, r["response"]).follow_instruction_list
                   for i, r in zip(inputs, rows)],
        "loose": [utils.test_instruction_following_loose(i, r["response"]).follow_instruction_list
                  for i, r in zip(inputs, rows)],
    }
    print("RESULT " + json.dumps([time.perf_counter() - start, found]), flush=True)
"""


def read(name: str) -> list[Row]:
    """Rows of a gzipped file of the IFEval set."""
    with gzip.open(DATA / "ifeval_gpt4" / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def ifeval() -> list[Row]:
    """The 541 prompts, each with the response at its place."""
    responses = read("input_response_data_gpt4_20231107_145030.jsonl.gz")
    prompts = read("input_data.jsonl.gz")
    return [
        {**row, "response": answer["response"]}
        for row, answer in zip(prompts, responses, strict=True)
    ]


def ours(rows: list[Row]) -> tuple[float, dict[str, list[list[bool]]]]:
    """Seconds, and verdicts by mode; reading the constraints is part of the time."""
    start = time.perf_counter()
    found = {
        mode: [
            [part == 1.0 for part in verify(row["response"], row).parts.values()] for row in rows
        ]
        for mode, verify in (
            ("strict", instructions.InstructionVerifier("strict")),
            ("loose", instructions.InstructionVerifier("loose")),
        )
    }
    return time.perf_counter() - start, found


def peer_turn(peer: subprocess.Popen[str]) -> tuple[float, dict[str, list[list[bool]]]]:
    """Let the original checker judge all rows once."""
    stdin, stdout = pipe(peer.stdin), pipe(peer.stdout)
    stdin.write("go\n")
    stdin.flush()
    line = next(line for line in stdout if line.startswith("RESULT "))
    seconds, found = json.loads(line.removeprefix("RESULT "))
    return seconds, found


def pipe(stream: IO[str] | None) -> IO[str]:
    """The stream, which Popen opened."""
    assert stream is not None
    return stream


def compare_speed(peer_python: str, rounds: int) -> None:
    """Print both medians, their ratio and the verdicts that differ."""
    rows = ifeval()
    with subprocess.Popen(
        [peer_python, "-c", PEER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as peer:
        pipe(peer.stdin).write(json.dumps(rows) + "\n")
        peer_turn(peer)
        ours(rows)
        turns = [(ours(rows), peer_turn(peer)) for _ in range(rounds)]
        pipe(peer.stdin).close()
    mine = statistics.median(turn[0][0] for turn in turns)
    theirs = statistics.median(turn[1][0] for turn in turns)
    count = 2 * sum(len(row["kwargs"]) for row in rows)
    print(f"{len(rows)} prompts, {count} verdicts, strict and loose; median of {rounds} rounds")
    print(f"  original checker  {theirs:8.3f} s")
    print(f"  cascade           {mine:8.3f} s   {theirs / mine:.1f} times as fast")
    list_differences(rows, turns[-1][0][1], turns[-1][1][1])


def list_differences(
    rows: list[Row], mine: dict[str, list[list[bool]]], theirs: dict[str, list[list[bool]]]
) -> None:
    """Print each verdict that differs."""
    for mode in ("strict", "loose"):
        for row, found, other in zip(rows, mine[mode], theirs[mode], strict=True):
            for id_, a, b in zip(row["instruction_id_list"], found, other, strict=True):
                if a != b:
                    print(f"  differs: {mode} {id_} key {row['key']}: cascade {a}, original {b}")


def try_texts(count: int, seed: int) -> None:
    """Put `count` texts, half random and half mutated witnesses, to every rule in turn."""
    rng = Random(seed)
    ids = list(RULES)
    tried: Counter[str] = Counter()
    passed: Counter[tuple[str, str]] = Counter()
    raised: Counter[str] = Counter()
    slowest = (0.0, "")
    start = time.perf_counter()
    for place in range(count):
        id_ = ids[place // 2 % len(ids)]
        constraint = instructions.draw(id_, rng)
        random_text = place % 2 == 0
        text = junk(rng) if random_text else mutated(rng, instructions.witness(constraint, rng))
        demanding = not RULES[id_].blind and "less than" not in constraint.arguments.values()
        tried[id_] += random_text and demanding
        for standard, table in (("published", RULES), ("sound", SOUND_RULES)):
            began = time.perf_counter()
            try:
                held = table[id_].check(text, **constraint.arguments)
            except Exception as error:  # noqa: BLE001 - what is counted here
                raised[f"{id_}: {type(error).__name__}"] += 1
                continue
            slowest = max(slowest, (time.perf_counter() - began, id_))
            passed[standard, id_] += held and random_text and demanding
    seconds = time.perf_counter() - start
    print(f"{count:,} texts, {len(ids)} rules, two standards: {seconds:.0f} s")
    print(f"  raised: {dict(raised) or 'none'}; slowest check: {slowest[0]:.3f} s ({slowest[1]})")
    for standard in ("published", "sound"):
        shares = {id_: passed[standard, id_] / n for id_, n in tried.items() if n}
        above = {id_: f"{share:.1%}" for id_, share in shares.items() if share > 0.01}
        mean = sum(passed[standard, id_] for id_ in tried) / sum(tried.values())
        print(f"  {standard}: {mean:.3%} of random texts rewarded; above 1 %: {above or 'none'}")


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", help="interpreter with lm-eval[ifeval]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, help="how many random and mutated texts to try")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.peer_python and not options.texts:
        parser.error("give --peer-python or --texts")
    if options.peer_python:
        compare_speed(options.peer_python, options.rounds)
    if options.texts:
        try_texts(options.texts, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
