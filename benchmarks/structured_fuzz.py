"""One million random and mutated responses through every schema format and tool-call format.

Each must come back without an exception, within its time, and without reward unless what it holds
is the expected document or call. Prints the number, the rate, the slowest, and the verdicts.

Usage:  python benchmarks/structured_fuzz.py [--responses 1000000] [--seed 0] [--worst-seconds 2]
"""

from __future__ import annotations

import argparse
import functools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from cascade.types import Verdict
from cascade.verifiers import schema, tools
from cascade.verifiers.tools import Call

DECLARED = [{"name": "f", "parameters": {"type": "object", "required": ["a"], "properties": {
    "a": {"type": "string"}, "n": {"type": "integer"}, "l": {"type": "array"}}}}]  # fmt: skip
GOLD = Call("f", {"a": "zq", "n": 77, "l": [1, "x"]})
CALLS = {"calls": [{"name": "f", "arguments": dict(GOLD.arguments)}], "tools": DECLARED}

PIECES: list[str] = [
    *'{}[]()<>"\'\\,:;=&*-#|!?%@`~ \n\t\r\x00\u202e\ud800é0179.eExaf',
    "```", "```json\n", "<think>", "</think>", "<tool_call>", "</tool_call>", "<function=f>",
    "</function>", "<parameter=a>", "</parameter>", "[TOOL_CALLS]", "<|python_tag|>", "f(", "a=",
    "null", "true", "NaN", "1e999", "<!DOCTYPE a [", "&lol;", "&a ", "*a", "<<: ", "---\n",
    "!!str ",    '"name"', '"arguments"', "[[a]]\n", "'''", '"""', "new int[]{", "-- ", "a.b.c",
]  # fmt: skip

Judge = Callable[[str], Verdict]


def junk(rng: random.Random) -> str:
    """A few random pieces, sometimes very many of one."""
    if rng.random() < 0.01:
        return str(rng.choice(PIECES)) * rng.randint(1, 3_000)
    return "".join(rng.choices(PIECES, k=rng.randint(0, 40)))


def mutated(text: str, rng: random.Random) -> str:
    """`text` with one to three pieces inserted, removed, repeated or exchanged."""
    for _ in range(rng.randint(1, 3)):
        at, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        end = min(end, at + rng.choice((0, 1, 1, 5, 50)))
        piece = rng.choice((rng.choice(PIECES), "", text[at:end] * 2))
        text = text[:at] + piece + text[end:]
    return text


def never(response: str) -> bool:
    """No response deserves a reward."""
    return False


def always(response: str) -> bool:
    """A change may leave a right document right: what is judged right is not judged twice."""
    return True


def schema_cases(rng: random.Random) -> Iterator[tuple[str, str, Judge, Callable[[str], bool]]]:
    """Yield ``(name, response, judge, whether a reward would be deserved)``."""
    pool: list[tuple[Any, Any, Any, str]] = []
    for format in schema.FORMAT_NAMES:
        for index in range(60):
            made = schema.generate_schema(rng, 1 + index % 5, format)
            document = schema.generate_document(made, rng)
            pool.append((format, made, document, schema.render(document, format)))
    while True:
        format, made, document, text = rng.choice(pool)
        reference = {"schema": made, "format": format}

        if rng.random() < 0.5:
            # A document of one property may be met by chance; junk is held against two hundred.
            wide = {f"p{i}": {"type": "integer"} for i in range(200)}
            hard = {"schema": {"type": "object", "properties": wide}, "format": format}
            yield format, junk(rng), functools.partial(schema.verify, reference=hard), never
        else:
            judge = functools.partial(schema.verify, reference=reference)
            yield format, mutated(text, rng), judge, always


def tool_cases(rng: random.Random) -> Iterator[tuple[str, str, Judge, Callable[[str], bool]]]:
    """Yield ``(name, response, judge, whether a reward would be deserved)``."""
    formats = [format for format in tools.FORMATS if format not in ("java", "javascript", "auto")]
    written = {format: tools.render_calls([GOLD], format) for format in formats}
    while True:
        format = rng.choice(tools.FORMATS)
        source = format if format in written else rng.choice(formats)

        def judge(response: str, format: Any = format) -> Verdict:
            return tools.verify(response, CALLS, format=format)

        def deserved(response: str, format: Any = format) -> bool:
            parsed = tools.parse_calls(response, format, DECLARED)
            return parsed.calls == (GOLD,) and not parsed.malformed

        is_junk = rng.random() < 0.5
        yield format, junk(rng) if is_junk else mutated(written[source], rng), judge, deserved


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--responses", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worst-seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    sources = [schema_cases(rng), tool_cases(rng)]
    statuses: Counter[tuple[str, str]] = Counter()
    slowest = (0.0, "", "")
    started = time.perf_counter()
    for index in range(arguments.responses):
        name, response, judge, deserved = next(sources[index % 2])
        before = time.process_time()  # a busy machine is not the verifier's fault
        verdict = judge(response)
        spent = time.process_time() - before
        slowest = max(slowest, (spent, name, f"{len(response)} characters: {response[:60]!r}"))
        statuses[name, verdict.status.value] += 1
        if verdict.is_fault or (verdict.reward > 0 and not deserved(response)):
            raise SystemExit(f"{name}: {verdict} for {response!r}")
        if spent > arguments.worst_seconds:
            raise SystemExit(f"{name}: {spent:.1f} s for {response[:200]!r}")
    seconds = time.perf_counter() - started
    print(f"{arguments.responses:,} responses, {arguments.responses / seconds:,.0f} a second")
    print(f"slowest {slowest[0] * 1e3:.0f} ms ({slowest[1]}): {slowest[2]}")
    for (name, status), count in sorted(statuses.items()):
        print(f"  {name:12} {status:10} {count:>9,}")


if __name__ == "__main__":
    main()
