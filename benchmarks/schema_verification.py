"""Structured-output verification side by side with `jsonschema` called directly.

Three ways to judge the same JSON answers under the strict form of their schemas, on one core, in
one run, in rounds that take turns; the medians are compared and every verdict must be the same:

* ours: `schema.verify`, which also finds the document, refuses duplicate keys, NaN and the like,
  and gives a reason with a path;
* prebuilt: `Draft202012Validator(schema).is_valid(json.loads(text))` with the validator made once
  per schema, which is the fastest use of `jsonschema`;
* validate: `jsonschema.validate(json.loads(text), schema)`, which is the usual use.

Usage:  python benchmarks/schema_verification.py [--rounds 5] [--schemas 200] [--documents 20]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator

from cascade.verifiers import schema
from cascade.verifiers.schema import SchemaVerifier

# `jsonschema` does not check formats unless told to: neither side does here.
VERIFIER = SchemaVerifier(formats=False)


@dataclass(frozen=True)
class Case:
    """One answer to judge."""

    reference: dict[str, Any]
    strict: dict[str, Any]
    validator: Draft202012Validator
    text: str


def cases(difficulty: int, schemas: int, documents: int) -> list[Case]:
    """Generated answers, one in four broken in one place."""
    rng = random.Random(difficulty)
    made = []
    for _ in range(schemas):
        wanted = schema.generate_schema(rng, difficulty)
        strict = schema.strict_form(wanted)
        validator = Draft202012Validator(strict)
        for index in range(documents):
            document = schema.generate_document(wanted, rng)
            if index % 4 == 3:
                document = schema.mutate_document(document, wanted, rng).document
            reference = {"schema": wanted, "format": "json"}
            made.append(Case(reference, strict, validator, schema.render(document, "json")))
    rng.shuffle(made)
    return made


def ours(case: Case) -> bool:
    """The verdict of this package."""
    return VERIFIER(case.text, case.reference).reward == 1


def prebuilt(case: Case) -> bool:
    """The verdict of a `jsonschema` validator that was made before."""
    return bool(case.validator.is_valid(json.loads(case.text)))


def validate(case: Case) -> bool:
    """The verdict of `jsonschema.validate`."""
    try:
        jsonschema.validate(json.loads(case.text), case.strict)
    except jsonschema.ValidationError:
        return False
    return True


def timed(judge: Callable[[Case], bool], judged: list[Case]) -> tuple[float, list[bool]]:
    """Return the processor seconds a document and the verdicts of one round."""
    started = time.process_time()
    verdicts = [judge(case) for case in judged]
    return (time.process_time() - started) / len(judged), verdicts


def compare(difficulty: int, judged: list[Case], rounds: int) -> bool:
    """Run the rounds, print a line, return whether ours is as fast as the fastest other."""
    seconds: dict[str, list[float]] = {"ours": [], "prebuilt": [], "validate": []}
    few = judged[: max(1, len(judged) // 20)]  # `validate` checks the schema itself each time
    for _ in range(rounds):
        mine, verdicts = timed(ours, judged)
        other, expected = timed(prebuilt, judged)
        usual, _ = timed(validate, few)
        for name, spent in (("ours", mine), ("prebuilt", other), ("validate", usual)):
            seconds[name].append(spent)
        wrong = [c for c, a, b in zip(judged, verdicts, expected, strict=True) if a is not b]
        if wrong:
            raise SystemExit(f"the verdicts differ on {wrong[0].text!r} under {wrong[0].strict}")
    median = {name: statistics.median(spent) * 1e6 for name, spent in seconds.items()}
    right = sum(expected) / len(expected)
    print(
        f"{difficulty:>10} {len(judged):>9} {right:>7.0%} {median['ours']:>9.1f} "
        f"{median['prebuilt']:>9.1f} {median['validate']:>9.1f} "
        f"{median['prebuilt'] / median['ours']:>11.2f}x "
        f"{median['validate'] / median['ours']:>11.1f}x"
    )
    return median["ours"] <= median["prebuilt"]


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--schemas", type=int, default=200, help="of each difficulty")
    parser.add_argument("--documents", type=int, default=20, help="of each schema")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(
        f"{'difficulty':>10} {'documents':>9} {'right':>7} {'ours us':>9} {'prebuilt':>9} "
        f"{'validate':>9} {'vs prebuilt':>12} {'vs validate':>12}"
    )
    fast = [
        compare(difficulty, cases(difficulty, arguments.schemas, arguments.documents),
                arguments.rounds)
        for difficulty in range(1, 6)
    ]  # fmt: skip
    print("verdicts equal: all. At least as fast as jsonschema:", "yes" if all(fast) else "NO")


if __name__ == "__main__":
    main()
