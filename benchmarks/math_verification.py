r"""Math verification side by side with math-verify, called directly in a loop as its README shows.

Both run on one core, in one process run, in rounds that take turns; the medians are compared.
Each round starts with empty caches: ours forgets its verdicts and restarts its worker. Every
disagreement is printed with who is right.

Usage:  python benchmarks/math_verification.py [--data-dir DIR] [--rounds 5] [--limit 1500]

Without a data folder (default: CASCADE_DATA, else ../shared/data) the pairs are generated.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cascade.verifiers import math
from cascade.verifiers.extraction import boxes

TARGETS = {"integer": 20.0, "general": 1.0}
# As data sets that ask "what percent" need it; the same setting the evaluation tasks use.
POLICY = math.Policy(percent="sign_optional")


@dataclass(frozen=True)
class Pair:
    """One answer to judge."""

    gold: str
    answer: str
    expected: bool | None = None
    """Known by construction, or as published with the outputs."""

    @property
    def response(self) -> str:
        """The answer as a model would give it."""
        return rf"Therefore the answer is $\boxed{{{self.answer}}}$."


def read(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a JSONL file, gzipped or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def zeroeval_pairs(folder: Path, task: str) -> list[Pair]:
    """Published outputs of all models on `task`, with the verdicts published with them."""
    golds = {
        row["id"]: row["answer"].removeprefix("# ")
        for row in read(folder / f"{task}.problems.jsonl.gz")
    }
    return [
        Pair(golds[row["id"]], str(row["model_answer"]), bool(row["matched"]))
        for path in sorted((folder / task).glob("*.jsonl.gz"))
        for row in read(path)
        if row["model_answer"] and len(str(row["model_answer"])) < 200
    ]


def contest_pairs(folder: Path) -> list[Pair]:
    """Each gold in another spelling, and its neighbour: right and wrong by construction."""
    golds = []
    for name in ("math500.jsonl.gz", "hmmt_feb_2024.jsonl", "hmmt_feb_2025.jsonl"):
        golds += [row["answer"] for row in read(folder / name)]
    golds += [boxes(row["solution"])[-1].inside for row in read(folder / "minerva_math.jsonl.gz")]
    golds += [row["final_answer"][0] for row in read(folder / "olympiadbench.jsonl.gz")]
    return [pair for gold in golds if not gold.isdigit() for pair in _both(gold.strip("$ "))]


def _both(gold: str) -> list[Pair]:
    respelled = gold.replace(r"\frac", r"\dfrac").replace("+", " + ")
    raised, count = re.subn(r"[0-9]+", lambda match: str(int(match[0]) + 1), gold, count=1)
    pairs = [Pair(gold, respelled, True)]
    return [*pairs, Pair(gold, raised, False)] if count else pairs


def generated_integers(count: int, rng: random.Random) -> list[Pair]:
    """AIME-like pairs: golds of 0 to 999, three in four answered correctly."""
    pairs = []
    for _ in range(count):
        gold = rng.randrange(1000)
        right = rng.random() < 0.75
        pairs.append(Pair(str(gold), str(gold if right else rng.randrange(1000, 2000)), right))
    return pairs


def generated_expressions(count: int, rng: random.Random) -> list[Pair]:
    """Fractions, surds, tuples and polynomials, each respelled, every other one off by one."""
    pairs = []
    for index in range(count):
        a, b, c = rng.randint(2, 40), rng.randint(2, 40), rng.choice([2, 3, 5, 6, 7, 10, 11])
        off = index % 2
        gold, answer = rng.choice(
            [
                (rf"\frac{{{a}}}{{{b}}}", rf"\dfrac{{{3 * a + off}}}{{{3 * b}}}"),
                (rf"{a}\sqrt{{{c}}}", rf"\sqrt{{{a * a * c + off}}}"),
                (rf"({a}, \frac{{{b}}}{{{c}}})", rf"\left({a}, \dfrac{{{b + off}}}{{{c}}}\right)"),
                (rf"{a}x^2+{b}x+{c}", rf"{c} + {b}x + {a + off}x^2"),
                (rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a + off}}}{{{b}}}\pi"),
                (rf"{a}-{b}\sqrt{{{c}}}", rf"-{b}\sqrt{{{c}}}+{a + off}"),
            ]
        )
        pairs.append(Pair(gold, answer, not off))
    return pairs


def datasets(data_dir: Path, limit: int) -> dict[str, tuple[str, list[Pair]]]:
    """Return name -> (kind, pairs): kind is the key of the target."""
    rng = random.Random(0)
    sets = {
        "aime-like, generated": ("integer", generated_integers(limit, rng)),
        "expressions, generated": ("general", generated_expressions(limit // 4, rng)),
    }
    if data_dir.is_dir():
        gsm = zeroeval_pairs(data_dir / "zeroeval", "gsm")
        level5 = zeroeval_pairs(data_dir / "zeroeval", "math-l5")
        contests = contest_pairs(data_dir / "math_contests")
        sets["gsm8k, 6 models"] = ("integer", rng.sample(gsm, min(limit, len(gsm))))
        sets["math level 5, 8 models"] = ("general", rng.sample(level5, min(limit, len(level5))))
        sets["contest golds"] = ("general", rng.sample(contests, min(limit // 2, len(contests))))
    return sets


def ours(pairs: list[Pair]) -> list[bool]:
    """Verdicts of this package with one worker process."""
    judged = math.verify_many([(p.response, p.gold) for p in pairs], policy=POLICY, workers=1)
    return [verdict.reward == 1.0 for verdict in judged]


def theirs(pairs: list[Pair]) -> list[bool]:
    """Verdicts of math-verify as its README calls it."""
    from math_verify import parse, verify

    return [verify(parse(f"${p.gold}$"), parse(p.response)) for p in pairs]


def timed(judge: Callable[[list[Pair]], list[bool]], pairs: list[Pair]) -> tuple[float, list[bool]]:
    """Return seconds and verdicts of one round."""
    started = time.perf_counter()
    verdicts = judge(pairs)
    return time.perf_counter() - started, verdicts


def compare(name: str, kind: str, pairs: list[Pair], rounds: int) -> list[str]:
    """Run the rounds in turns, print the ratio, return the lines of the disagreements."""
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        math.reset()
        math.warm()
        spent, our_verdicts = timed(ours, pairs)
        seconds["ours"].append(spent)
        spent, their_verdicts = timed(theirs, pairs)
        seconds["theirs"].append(spent)
    mine, other = (len(pairs) / statistics.median(seconds[who]) for who in ("ours", "theirs"))
    differing = [
        (pair, a, b)
        for pair, a, b in zip(pairs, our_verdicts, their_verdicts, strict=True)
        if a is not b
    ]
    print(
        f"{name:24} {kind:8} {len(pairs):6} {mine:10,.0f}/s {other:10,.0f}/s "
        f"{mine / other:8.1f}x  target {TARGETS[kind]:g}x  "
        f"agree {100 * (1 - len(differing) / len(pairs)):.2f} %"
    )
    lines = []
    for pair, a, b in dict.fromkeys(differing):
        right = "unknown" if pair.expected is None else "ours" if a is pair.expected else "theirs"
        lines.append(
            f"  {name:24} {pair.gold[:40]!r:44} {pair.answer[:60]!r:64} {a!s:6} {b!s:6} {right}"
        )
    return lines


def main() -> None:
    """Parse the command line and run."""
    default = Path(os.environ.get("CASCADE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=1500, help="pairs of each set")
    arguments = parser.parse_args()
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    if hasattr(os, "sched_setaffinity"):  # one core for both, worker process included
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    theirs([Pair("1", "1"), Pair(r"\sqrt{2}", r"\sqrt{2}"), Pair("x+1", "1+x")])  # load its grammar
    print(f"{'set':24} {'kind':8} {'pairs':>6} {'ours':>12} {'math-verify':>12} {'ratio':>9}")
    disagreements: list[str] = []
    for name, (kind, pairs) in datasets(arguments.data_dir, arguments.limit).items():
        disagreements += compare(name, kind, pairs, arguments.rounds)
    print(
        "\nDisagreements. The last column says who agrees with what is known: the construction of"
    )
    print("the pair, or the verdict published with the output (which compares first numbers only).")
    print(f"  {'set':24} {'gold':44} {'answer':64} {'ours':6} {'theirs':6} right")
    print("\n".join(disagreements) or "  none")
    math.reset()


if __name__ == "__main__":
    main()
