"""Teachers: loaded once, time-shared, routed by label; candidates; balance between domains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cascade.errors import ConfigError, ContractError
from cascade.trainer.balance import Balance, EvenDomains, FollowGaps, ResponseMean, TokenMean
from cascade.trainer.batch import totals_of
from cascade.trainer.losses import MopdTopK
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.policy import Policy, PolicyConfig, TrainSample
from cascade.trainer.registry import Entry, Registry, weights_digest
from cascade.trainer.scorer import Scorer
from cascade.trainer.scores import score_of
from cascade.trainer.teachers import Teachers, TeacherSettings
from cascade.trainer.tokenizer import toy_tokenizer
from cascade.trainer.tokens import Tokens, Totals
from drawn_samples import drawn
from tiny_models import random_qwen3_moe

GOOD = score_of([1.0] * 4)


def save(folder: Path, seed: int) -> Any:
    """Save a model of that seed with the toy's tokenizer; return it."""
    model = random_qwen3_moe(vocab_size=448)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    model.save_pretrained(folder)
    toy_tokenizer().save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Three folders, two of them with the same weights."""
    folder = tmp_path_factory.mktemp("registry")
    entries = []
    for name, seed, domain in (("a", 1, "code"), ("b", 2, "math"), ("copy", 1, "if")):
        save(folder / name, seed)
        digest = weights_digest(folder / name)
        entries.append(Entry(name, name, digest, {domain: GOOD}))
    return Registry(folder, tuple(entries))


def teachers(registry: Registry, **bindings: str | None) -> Teachers:
    return Teachers(bindings, registry, toy_tokenizer(), TeacherSettings())


def scored_by(folder: Path, samples: Any) -> list[Any]:
    from cascade.trainer.models import load_model

    return Scorer(load_model(str(folder))).logprobs(samples)


def test_each_sample_is_scored_by_its_domains_teacher(registry: Registry) -> None:
    samples = drawn(8)
    found = teachers(registry, code=None, math=None).logprobs(samples)
    expected = {
        domain: scored_by(registry.folder / name, samples)
        for domain, name in (("code", "a"), ("math", "b"))
    }
    for i, sample in enumerate(samples):
        assert np.allclose(found[i], expected[sample.domain][i], atol=1e-6)
        other = expected["math" if sample.domain == "code" else "code"][i]
        assert not np.allclose(found[i], other, atol=1e-3)


def test_equal_weights_are_loaded_once_and_swaps_are_few(registry: Registry) -> None:
    pool = teachers(registry, **{"code": "a", "math": "b", "if": "copy"})
    assert pool.num_loaded == 2
    samples = [replace(s, domain=("code", "math", "if")[i % 3]) for i, s in enumerate(drawn(9))]
    first = pool.logprobs(samples)
    assert pool.swaps == 1
    again = pool.logprobs(samples)
    assert pool.swaps == 2  # the one in the seat goes first
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(pool._seats) == 1


def test_teachers_that_leave_the_device_say_the_same(registry: Registry) -> None:
    samples = drawn(8)
    staying = teachers(registry, code=None, math=None)
    leaving = Teachers(
        {"code": None, "math": None}, registry, toy_tokenizer(), TeacherSettings(offload=True)
    )
    [seat] = leaving._seats.values()
    for _ in range(2):
        expected, found = staying.logprobs(samples), leaving.logprobs(samples)
        assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
        assert sum(p.numel() for p in seat.scorer.net.model.parameters()) == 0
    assert (staying.swaps, leaving.swaps) == (2, 3)  # the first sat from the start


def test_an_unknown_label_names_itself(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"'chess', which has no teacher.*code, math"):
        teachers(registry, code=None, math=None).logprobs(drawn(2, domain="chess"))
    with pytest.raises(ConfigError, match="got none"):
        teachers(registry)


def test_a_teacher_with_another_tokenizer_is_refused(registry: Registry) -> None:
    student = toy_tokenizer(more_phrases=("Guten Tag",))
    with pytest.raises(ConfigError, match="teacher 'a' has another tokenizer: id"):
        Teachers({"code": "a"}, registry, student, TeacherSettings())


def test_candidates_are_the_students_likeliest_and_scored_by_the_teacher(
    registry: Registry,
) -> None:
    samples = drawn(5)
    student = random_qwen3_moe(vocab_size=448)
    scorer = Scorer(student)
    ids = scorer.likeliest(samples, 3)
    found = teachers(registry, code=None, math=None).candidate_logprobs(samples, ids)
    sample, model = samples[0], random_qwen3_moe(vocab_size=448)
    row = torch.tensor(sample.token_ids)[None]
    with torch.no_grad():
        logits = model(row).logits[0].log_softmax(-1)
    [t] = np.nonzero(sample.sampled)
    assert ids[0][t].tolist() == logits[t - 1].topk(3).indices.tolist()
    assert found[0].shape == (len(sample.token_ids), 3)
    assert (found[0][t] < 0).all()


def top_k(model: Any, samples: Any, teacher: Any, count: int) -> tuple[Policy, list[TrainSample]]:
    policy = Policy(model, PolicyConfig(), OptimizerConfig(peak_learning_rate=1e-4))
    ids = Scorer(model).likeliest(samples, count)
    logprobs = Scorer(teacher).candidate_logprobs(samples, ids)
    sampler = policy.logprobs(samples)
    batch = [
        TrainSample(
            replace(sample, sampler_logprobs=sampler[i]),
            candidate_ids=ids[i],
            teacher_candidate_logprobs=logprobs[i],
        )
        for i, sample in enumerate(samples)
    ]
    return policy, batch


def test_the_whole_vocabulary_gives_the_exact_divergence() -> None:
    samples, teacher = drawn(6), random_qwen3_moe()
    torch.manual_seed(5)
    student = random_qwen3_moe()
    with torch.no_grad():
        student.lm_head.weight.add_(torch.randn_like(student.lm_head.weight) * 0.1)
    exact = []
    for sample in samples:
        row = torch.tensor(sample.token_ids)[None]
        with torch.no_grad():
            p = student(row).logits[0].double().log_softmax(-1)
            q = teacher(row).logits[0].double().log_softmax(-1)
        divergence = (p.exp() * (p - q)).sum(-1)
        [t] = np.nonzero(sample.sampled)
        exact.append(float(divergence[t - 1].mean()))
    policy, batch = top_k(student, samples, teacher, 320)
    found = policy.update(batch, MopdTopK())
    assert found["loss"] == pytest.approx(np.mean(exact), rel=1e-4)
    truncated = top_k(student, samples, teacher, 8)[1]
    partly = Policy(student, PolicyConfig(), OptimizerConfig()).update(truncated, MopdTopK())
    assert 0 < partly["loss"] < found["loss"]


def test_a_student_that_equals_its_teacher_gets_no_gradient_at_any_k() -> None:
    policy, batch = top_k(random_qwen3_moe(), drawn(4), random_qwen3_moe(), 4)
    metrics = policy.update(batch, MopdTopK())
    assert metrics["loss"] == pytest.approx(0, abs=1e-6)
    assert metrics["grad_norm"] < 1e-5
    with pytest.raises(ConfigError, match="candidate_ids"):
        policy.update([TrainSample(s) for s in drawn(2)], MopdTopK())


def mass(balance: Balance, gaps: dict[str, float], samples: Any) -> dict[str, float]:
    """Sum of the tokens' shares by domain."""
    totals: Totals = totals_of(samples)
    domain_N = torch.tensor(
        [totals.domains.index(s.domain) for s in samples for _ in range(s.num_sampled)]
    )
    episode_N = torch.tensor([i for i, s in enumerate(samples) for _ in range(s.num_sampled)])
    zero_N = torch.zeros(len(domain_N))
    tokens = Tokens(zero_N, zero_N, zero_N, zero_N, zero_N, episode_N, episode_N, domain_N)
    share_N = balance.share(gaps)(tokens, totals)
    return {name: float(share_N[domain_N == i].sum()) for i, name in enumerate(totals.domains)}


def test_shares_of_domains() -> None:
    long, short = drawn(30, domain="long"), drawn(30, seed=1, domain="short")
    short = [replace(s, episode=s.episode + 30) for s in short]
    samples = [*long, *(replace(s, sampled=s.sampled & (np.cumsum(s.sampled) <= 1)) for s in short)]
    tokens = sum(s.num_sampled for s in samples)
    by_token = mass(TokenMean(), {}, samples)
    assert by_token["short"] == pytest.approx(30 / tokens)
    assert by_token["short"] < 0.2
    assert mass(ResponseMean(), {}, samples)["short"] == pytest.approx(0.5)
    assert mass(EvenDomains(), {}, samples) == pytest.approx({"long": 0.5, "short": 0.5})
    followed = mass(FollowGaps(), {"long": 0.1, "short": 0.3}, samples)
    assert followed == pytest.approx({"long": 0.25, "short": 0.75})
    assert mass(FollowGaps(high=1.0), {"long": 0.1, "short": 0.3}, samples) == pytest.approx(
        {"long": 1 / 3, "short": 2 / 3}
    )  # factors 0.5 and 1.5, the latter cut to 1
    assert mass(FollowGaps(), {"long": 0.0, "short": 0.0}, samples)["long"] == pytest.approx(0.5)
    with pytest.raises(ContractError, match="'short'"):
        mass(FollowGaps(), {"long": 0.1}, samples)
