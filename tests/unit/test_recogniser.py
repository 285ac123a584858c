"""Many clips at once give what each gives alone, calibrated where the checkpoint says how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bonegraph.inference.recogniser import Recogniser
from bonegraph.models import msg3d, stgcn
from bonegraph.models.checkpoint import Calibration, Meaning
from bonegraph.models.registry import build
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

BODY = SKELETONS["sbu15"]
CLASSES = ("wave", "sit", "run")
SMALL = replace(stgcn.best(), widths=(6, 8), strides=(1, 2))
RELEASED = replace(msg3d.released(), widths=(6, 6, 6), gcn_scales=2, g3d_scales=2)


def network(
    config: object = SMALL,
    length: Length = Length("uniform", 8),  # noqa: B008 - it cannot change
    transforms: Transforms = Transforms(centre="first"),  # noqa: B008
    calibration: Calibration | None = None,
    seed: int = 0,
) -> Recogniser:
    """An untrained network whose answers differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(config, BODY, 3, np.arange(float(BODY.num_joints))).eval()
        with torch.no_grad():
            for value in model.parameters():
                value.add_(0.2 * torch.randn_like(value))
    return Recogniser(model, Meaning(BODY, CLASSES, transforms, length, 0, 20.0, "m", calibration=calibration))


def recording(frames: int, people: int = 1, seed: int = 0) -> Sequence:
    """Not everyone is always seen."""
    random = np.random.default_rng(seed)
    positions = random.standard_normal((frames, people, BODY.num_joints, 3)).astype(np.float32)
    present = random.random((frames, people)) < 0.8
    present[0] = True
    return Sequence(positions, present, BODY, 20.0, "m")


def with_confidence(sequence: Sequence) -> Sequence:
    return replace(sequence, confidence=np.full(sequence.positions.shape[:3], 0.5, np.float32))


CLIPS = [
    recording(20),
    recording(7, 2, seed=1),
    recording(20, 3, seed=2),
    with_confidence(recording(30, seed=3)),
    recording(1, seed=4),
    recording(20, seed=5),
]
RULES = [
    Length("uniform", 8, test_clips=3),
    Length("crop-resize", 8),
    Length("replay", 12),
    Length("loop", 12),
    Length("fragment", 12),
    Length("all"),
]


@pytest.mark.parametrize("length", RULES, ids=lambda length: length.rule)
def test_together_they_are_as_alone(length: Length) -> None:
    one = network(length=length, calibration=Calibration(1.7, 0.4, 2))
    both = Recogniser(one.model, one.meaning, [network(length=length, seed=1)])
    together = both.scores(CLIPS)
    assert together.shape == (6, 3)
    torch.testing.assert_close(together.sum(dim=1), torch.ones(6))
    alone = torch.cat([both.scores([clip]) for clip in CLIPS])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert (together.std(dim=0) > 1e-4).any()  # not all one answer
    answers = {answer.action: answer.probability for answer in both(CLIPS[1])}
    assert [answers[name] for name in CLASSES] == pytest.approx(together[1].tolist(), rel=1e-5)


def test_a_released_network_of_two_people() -> None:
    one = network(RELEASED, transforms=Transforms(zero_padded=2))
    clips = CLIPS[:3]
    alone = torch.cat([one.scores([clip]) for clip in clips])
    torch.testing.assert_close(one.scores(clips), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", [SMALL, RELEASED])
def test_fast_or_not_it_answers_the_same(config: object) -> None:
    one = network(config, transforms=Transforms(zero_padded=2) if config is RELEASED else Transforms(centre="first"))
    clips = CLIPS[:2]
    plain = Recogniser(one.model, one.meaning, fast=False).logits(clips)
    torch.testing.assert_close(one.logits(clips), plain, rtol=1e-4, atol=1e-5)
    assert not torch.equal(one.logits(clips), plain)  # two ways
    half = Recogniser(one.model, one.meaning, precision="bf16").logits(clips)
    torch.testing.assert_close(half, plain, rtol=0.05, atol=0.05)
    assert (half - plain).abs().max() > 1e-5


def test_precision_is_of_the_fast_form() -> None:
    one = network()
    with pytest.raises(ValueError, match="precision bf16 is for the fast form"):
        Recogniser(one.model, one.meaning, fast=False, precision="bf16").scores(CLIPS[:1])
    with pytest.raises(ValueError, match="must be fp32 or bf16, got 'fp8'"):
        Recogniser(one.model, one.meaning, precision="fp8").scores(CLIPS[:1])  # type: ignore[arg-type]


def test_no_clips() -> None:
    assert network().scores([]).shape == (0, 3)


def test_the_temperature_divides_the_logits_of_every_network() -> None:
    plain = [network(seed=seed) for seed in (0, 1)]
    hot = [network(seed=seed, calibration=Calibration(t, 0.5, 2)) for seed, t in ((0, 2.0), (1, 0.5))]
    both = Recogniser(hot[0].model, hot[0].meaning, hot[1:])
    expected = sum((one.logits(CLIPS)[:, 0] / t).softmax(dim=1) / 2 for one, t in zip(plain, (2.0, 0.5), strict=True))
    torch.testing.assert_close(both.scores(CLIPS), expected)


def test_the_threshold_is_that_of_these_networks_together() -> None:
    def threshold(*calibrations: Calibration | None) -> float | None:
        first, *others = (network(calibration=one) for one in calibrations)
        return Recogniser(first.model, first.meaning, others).threshold

    assert threshold(None) is None
    assert threshold(Calibration(2.0, 0.5)) == 0.5
    assert threshold(Calibration(2.0, 0.5, networks=2)) is None  # this one alone was not asked
    assert threshold(Calibration(2.0, 0.5, networks=2), Calibration(1.0, 0.5, networks=2)) == 0.5
    assert threshold(Calibration(2.0, 0.5), Calibration(1.0, 0.5)) is None
    assert threshold(Calibration(2.0, 0.5, networks=2), None) is None
    assert threshold(Calibration(2.0, 0.5, networks=2), Calibration(1.0, 0.6, networks=2)) is None
