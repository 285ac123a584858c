"""Batches of a store: what is fetched, and in which order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from bonegraph.datasets.card import Card
from bonegraph.datasets.clips import Clips, Order, TestOrder, TrainingOrder
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter
from bonegraph.sample import Batch
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length, pick_frames

SKELETON = SKELETONS["sbu15"]
PEOPLE = (1, 2, 1, 3, 1, 1, 2, 1, 1, 1)


def recording(number: int, *, confidence: bool) -> Sequence:
    random = np.random.default_rng(number)
    frames, people = 3 + number % 7, PEOPLE[number % len(PEOPLE)]
    present = random.random((frames, people)) < 0.8
    present[0] = True
    positions = random.normal(size=(frames, people, 15, 3)).astype(np.float32)
    sure = (random.integers(0, 3, (frames, people, 15)) / 2).astype(np.float32) if confidence else None
    return Sequence(positions, present, SKELETON, 30.0, "m", sure)


def write(folder: Path, numbers: list[int], *, confidence: bool = False) -> Store:
    card = Card("fake", SKELETON, "m", 30.0, ("wave", "sit"), {}, {}, confidence)
    with StoreWriter(folder, card) as writer:
        for number in numbers:
            writer.append(f"clip {number}", number % 2, {}, recording(number, confidence=confidence))
        writer.finish()
    return Store.open(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write(tmp_path_factory.mktemp("clips") / "store", list(range(20)), confidence=True)


def same(ours: Batch, theirs: Batch) -> None:
    for name, value in vars(ours).items():
        other = getattr(theirs, name)
        assert (value is None) == (other is None), name
        assert value is None or torch.equal(value, other), name


# --- what is fetched ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["uniform", "replay", "fragment", "all"])
@pytest.mark.parametrize("epoch", [None, 3])
def test_a_batch_is_what_the_store_gathers(store: Store, rule: Any, epoch: int | None) -> None:
    clips = Clips(store, Length(rule, 5), seed=4)
    chosen = np.array([3, 11, 0, 3])
    batch = clips[Order(chosen, epoch)]
    keys = batch.keys.numpy().view(np.uint64)
    pick = pick_frames(Length(rule, 5), store.frames[chosen], None if epoch is None else keys)
    gathered = store.gather(chosen, pick.frames, 3)
    assert len(batch) == 4
    assert torch.equal(batch.positions, torch.from_numpy(gathered.positions))
    assert torch.equal(batch.visible, torch.from_numpy(gathered.visible))
    assert batch.confidence is not None
    assert gathered.confidence is not None
    assert torch.equal(batch.confidence, torch.from_numpy(gathered.confidence))
    assert batch.labels.tolist() == [1, 1, 0, 1]
    assert batch.clips.tolist() == chosen.tolist()
    assert batch.labels.dtype == batch.clips.dtype == batch.keys.dtype == torch.int64
    assert (batch.positions[~batch.visible[:, None].expand_as(batch.positions)] == 0).all()


@pytest.mark.parametrize("epoch", [None, 1])
def test_crop_resize_is_blended(store: Store, epoch: int | None) -> None:
    length = Length("crop-resize", 6)
    batch = Clips(store, length)[Order(np.array([1, 8, 15]), epoch)]
    assert batch.positions.shape == (3, 3, 6, 15, 2)
    assert batch.visible.shape == (3, 6, 15, 2)
    assert batch.confidence is not None
    assert batch.confidence.shape == (3, 6, 15, 2)
    keys = None if epoch is None else batch.keys.numpy().view(np.uint64)
    pick = pick_frames(length, store.frames[[1, 8, 15]], keys)
    assert pick.blend is not None
    for row, clip in enumerate((1, 8, 15)):
        whole = store.sequence(clip)
        for t in range(6):
            ends, weight = (pick.frames[row, t], pick.frames[row, 6 + t]), float(pick.blend[row, t])
            for m, v in np.ndindex(whole.num_people, 15):
                shares = [(1 - weight), weight]
                seen = [whole.visible[end, m, v] for end in ends]
                if not all(seen):
                    shares = [float(found) for found in seen]
                place = sum(share * whole.positions[end, m, v] for share, end in zip(shares, ends, strict=True))
                assert batch.visible[row, t, v, m] == any(seen)
                np.testing.assert_allclose(batch.positions[row, :, t, v, m], place * any(seen), atol=1e-5)


def test_people_are_as_many_as_the_batch_needs(store: Store) -> None:
    clips, capped = Clips(store, Length("all")), Clips(store, Length("all"), people=2)
    assert clips[Order(np.array([0, 2]))].positions.shape[-1] == 1
    assert clips[Order(np.array([0, 3]))].positions.shape[-1] == 3
    assert capped[Order(np.array([0, 3]))].positions.shape[-1] == 2
    assert capped[Order(np.array([0, 2]))].positions.shape[-1] == 1


def test_a_clip_without_confidence(tmp_path: Path) -> None:
    batch = Clips(write(tmp_path / "store", [0, 1]), Length())[Order(np.array([0, 1]))]
    assert batch.confidence is None


def test_training_is_a_function_of_seed_epoch_and_clip(store: Store) -> None:
    def keys(seed: int, epoch: int) -> list[int]:
        result: list[int] = Clips(store, Length("uniform", 4), seed=seed)[Order(np.arange(20), epoch)].keys.tolist()
        return result

    assert keys(0, 1) == keys(0, 1)
    drawn = [*keys(0, 0), *keys(0, 1), *keys(1, 0), *keys(1, 1)]
    assert len(set(drawn)) == len(drawn)
    clips = Clips(store, Length("uniform", 4))
    same(clips[Order(np.arange(5), 7)], Clips(store, Length("uniform", 4))[Order(np.arange(5), 7)])
    first, second = clips[Order(np.arange(20), 0)], clips[Order(np.arange(20), 1)]
    assert not torch.equal(first.positions, second.positions)


def test_a_clip_has_the_same_key_at_another_place_in_another_store(tmp_path: Path, store: Store) -> None:
    other = write(tmp_path / "store", [7, 3, 30, 12], confidence=True)
    length = Length("uniform", 6)
    ours = Clips(store, length, seed=2)[Order(np.array([12, 3]), 5)]
    theirs = Clips(other, length, seed=2)[Order(np.array([3, 1]), 5)]
    assert torch.equal(ours.keys, theirs.keys)
    assert torch.equal(ours.positions, theirs.positions)


def test_a_clip_does_not_depend_on_its_batch(store: Store) -> None:
    clips = Clips(store, Length("uniform", 6))
    together = clips[Order(np.arange(20), 2)]
    for clip in range(20):
        alone = clips[Order(np.array([clip]), 2)]
        people = alone.positions.shape[-1]
        assert torch.equal(together.positions[clip, ..., :people], alone.positions[0])
        assert torch.equal(together.visible[clip, ..., :people], alone.visible[0])
        assert not together.visible[clip, ..., people:].any()
        assert together.keys[clip] == alone.keys[0]


def test_testing_does_not_depend_on_the_seed(store: Store) -> None:
    length = Length("uniform", 4, test_clips=2)
    first, second = (Clips(store, length, seed=seed) for seed in (0, 9))
    for offset in range(2):
        order = Order(np.arange(20), None, offset)
        assert torch.equal(first[order].positions, second[order].positions)
    assert not torch.equal(first[Order(np.arange(20))].positions, first[Order(np.arange(20), None, 1)].positions)


def test_a_loader_passes_the_orders_on(store: Store) -> None:
    order = TrainingOrder(np.arange(20), 6, seed=1)
    order.set_epoch(2)
    clips = Clips(store, Length("uniform", 4), seed=1)
    fetched = list(DataLoader(clips, sampler=order, batch_size=None))
    assert len(fetched) == len(order)
    for ours, entry in zip(fetched, order, strict=True):
        same(ours, clips[entry])


# --- in which order -------------------------------------------------------------------------------------------------


def epoch_of(order: TrainingOrder, epoch: int) -> list[np.ndarray[Any, Any]]:
    order.set_epoch(epoch)
    entries = list(order)
    assert [entry.epoch for entry in entries] == [epoch] * len(order)
    return [entry.clips for entry in entries]


sizes = st.tuples(st.integers(1, 80), st.integers(1, 30), st.integers(1, 4), st.integers(0, 5)).filter(
    lambda size: size[0] >= size[2] and size[1] >= size[2]
)


@given(sizes)
def test_one_process_sees_each_clip_once_an_epoch(size: tuple[int, int, int, int]) -> None:
    count, batch_size, _, epoch = size
    clips = 3 * np.arange(count) + 5
    batches = epoch_of(TrainingOrder(clips, batch_size, seed=1), epoch)
    assert sorted(np.concatenate(batches).tolist()) == clips.tolist()
    lengths = [len(batch) for batch in batches]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 1
    assert len(batches) == -(-count // batch_size)


@given(sizes)
def test_processes_share_the_batches_of_one_process(size: tuple[int, int, int, int]) -> None:
    count, batch_size, world, epoch = size
    clips = np.arange(count)
    whole = epoch_of(TrainingOrder(clips, batch_size, seed=2), epoch)
    ranks = [epoch_of(TrainingOrder(clips, batch_size, 2, rank, world), epoch) for rank in range(world)]
    assert len({len(batches) for batches in ranks}) == 1
    seen: list[int] = []
    for number, shares in enumerate(zip(*ranks, strict=True)):
        assert len({len(share) for share in shares}) == 1  # equal, or gradients would have unequal weight
        assert len(shares[0]) >= 1
        together = np.concatenate(shares).tolist()
        seen += together
        if len(ranks[0]) == len(whole):  # fewer only where a batch would not reach every process
            assert set(together) <= set(whole[number].tolist())
            assert len(whole[number]) - len(together) < world
    assert len(set(seen)) == len(seen)
    assert count - len(seen) <= (world - 1) * len(ranks[0])


def test_two_processes_see_the_global_batches_of_one() -> None:
    clips = np.arange(48)
    for epoch in range(3):
        whole = epoch_of(TrainingOrder(clips, 8, 0), epoch)
        halves = [epoch_of(TrainingOrder(clips, 8, 0, rank, 2), epoch) for rank in range(2)]
        for batch, first, second in zip(whole, *halves, strict=True):
            assert sorted(batch.tolist()) == sorted([*first.tolist(), *second.tolist()])


def test_epochs_and_seeds_differ() -> None:
    clips = np.arange(40)
    orders = [
        np.concatenate(epoch_of(TrainingOrder(clips, 8, seed), epoch)).tolist()
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    ]
    assert len({tuple(order) for order in orders}) == 6
    again = np.concatenate(epoch_of(TrainingOrder(clips, 8, 1), 2)).tolist()
    assert again == orders[-1]


def test_who_sits_out_changes_from_epoch_to_epoch() -> None:
    clips = np.arange(9)
    missing = set()
    for epoch in range(30):
        ranks = [epoch_of(TrainingOrder(clips, 9, 0, rank, 2), epoch) for rank in range(2)]
        missing |= set(range(9)) - {clip for batches in ranks for batch in batches for clip in batch.tolist()}
    assert len(missing) > 5


def test_too_many_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 2 is below the 4 processes"):
        TrainingOrder(np.arange(10), 2, 0, 0, 4)
    with pytest.raises(ValueError, match="has 3 clips for 4 processes"):
        TrainingOrder(np.arange(3), 8, 0, 0, 4)


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("offsets", [1, 3])
def test_testing_covers_every_clip_once_at_each_offset(world: int, offsets: int) -> None:
    clips = 2 * np.arange(5) + 1  # fewer clips than processes, where there are 7
    length = Length("uniform", 4, test_clips=offsets)
    seen: list[tuple[int, int]] = []
    for rank in range(world):
        orders = TestOrder(clips, 2, length, rank, world)
        assert len(orders) == len(list(orders))
        for order in orders:
            assert order.epoch is None
            assert 1 <= len(order.clips) <= 2
            seen += [(clip, order.test_clip) for clip in order.clips.tolist()]
    assert sorted(seen) == [(clip, offset) for clip in clips.tolist() for offset in range(offsets)]


def test_testing_follows_the_store() -> None:
    orders = list(TestOrder(np.arange(10), 4, Length()))
    assert [order.clips.tolist() for order in orders] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
