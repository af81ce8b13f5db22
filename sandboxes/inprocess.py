"""Unit tests in the program's own process, for tests that need its objects.

Nothing that such a process says can be believed alone. Each group of tests is therefore run
twice, in random order: as it is, and as a negative control in which one assertion expects
something false. A program that passes its control forges its verdicts, and is TAMPERED.
"""

from __future__ import annotations

import ast
import random
import secrets
from dataclasses import dataclass

from cascade.sandboxes.classify import classify, outcome_of
from cascade.sandboxes.inside.drivers import TESTS
from cascade.sandboxes.inside.plain import encode
from cascade.sandboxes.programs import Limits
from cascade.sandboxes.slot import Raw, Run, Slot
from cascade.sandboxes.verdicts import Outcome, Status

__all__ = ["Control", "make_control", "run_in_process"]


@dataclass(frozen=True, slots=True)
class Control:
    """Tests of which one must fail."""

    source: str


class _Spoil(ast.NodeTransformer):
    """Falsify the assertion with the given number."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.count = 0

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        index, self.count = self.count, self.count + 1
        if index != self.target:
            return node
        test = node.test
        if isinstance(test, ast.Compare) and isinstance(test.ops[-1], ast.Eq):
            twisted = ast.Call(ast.Name("__twist__", ast.Load()), [test.comparators[-1]], [])
            test.comparators[-1] = twisted
        else:
            node.test = ast.UnaryOp(ast.Not(), test)
        return node


def make_control(tests: str, rng: random.Random) -> Control | None:
    """Falsify one assertion of the tests, or add a failing one; None if they do not parse."""
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError):
        return None
    count = sum(isinstance(node, ast.Assert) for node in ast.walk(tree))
    if count:
        tree = _Spoil(rng.randrange(count)).visit(tree)
    else:
        false = ast.Assert(ast.Compare(ast.Constant(1), [ast.Eq()], [ast.Constant(2)]))
        tree.body.append(false)
    return Control(ast.unparse(ast.fix_missing_locations(tree)))


def run_in_process(
    slot: Slot, argv: tuple[str, ...], tests: str, limits: Limits, rng: random.Random
) -> Outcome:
    """Run one group of tests and its control; the slot holds the program already."""
    control = make_control(tests, rng)
    if control is None:
        return Outcome(Status.BAD_TASK, reason="the tests do not parse")
    plan = [(tests, True), (control.source, False)]
    rng.shuffle(plan)
    real: Outcome | None = None
    forged = False
    for source, honest in plan:
        token = secrets.token_hex(16)
        raw = slot.run(Run(argv, limits, driver=TESTS, spec=_spec(source, token)))
        if honest:
            real = _judge(raw, token, limits)
        elif raw.result == token.encode():
            forged = True
    if real is None:
        raise AssertionError("the plan holds the tests")
    if forged and real.status is Status.ACCEPTED:
        return Outcome(
            Status.TAMPERED, real.stdout, real.stderr, reason="passed a test that no program passes"
        )
    return real


def _spec(tests: str, token: str) -> bytes:
    return encode({"tests": tests, "token": token})


def _judge(raw: Raw, token: str, limits: Limits) -> Outcome:
    status, reason = classify(raw, limits)
    if status not in (Status.ACCEPTED, Status.RUNTIME_ERROR):
        return outcome_of(raw, status, reason)
    done = raw.result == token.encode()
    if raw.result and not done:
        return outcome_of(raw, Status.TAMPERED, "a forged completion token")
    if status is Status.ACCEPTED and not done:
        return outcome_of(raw, Status.TAMPERED, "ended well without having run its tests")
    if status is Status.RUNTIME_ERROR and b'File "<tests>"' in raw.stderr:
        return outcome_of(raw, Status.WRONG_ANSWER, _last_line(raw.stderr))
    return outcome_of(raw, status, reason)


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
