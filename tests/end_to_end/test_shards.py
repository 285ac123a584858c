"""Shards on many machines and the store they are merged into, on fake NW-UCLA files."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.known import known_set
from bonegraph.datasets.merge import merge
from bonegraph.datasets.parts import load
from bonegraph.datasets.prepare import CLIPS_PER_PART, prepare
from bonegraph.datasets.shards import Shard, part_file
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.files import held

from .fakes import write_clip
from .runs import content


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four parts of clips: damaged files in the first and the last one, all of the third one."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(3 * CLIPS_PER_PART + 10):
        name = f"a{number // 100 + 1:02d}_s{number % 100 // 10:02d}_e{number % 10:02d}_v{number % 3 + 1:02d}"
        whole = number not in (3, 200) and not 2 * CLIPS_PER_PART <= number < 3 * CLIPS_PER_PART
        write_clip(folder, name, None if whole else [], frames=1 + number % 4)
    write_clip(folder, "a07_s01_e00_v01")  # stands for no class, which is seen without reading it
    write_clip(folder / "again", "a01_s00_e00_v01")  # an id that is there already
    return folder


@pytest.fixture(scope="module")
def whole(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that one machine writes."""
    return prepare(known_set("nw-ucla"), recordings, tmp_path_factory.mktemp("whole") / "store", progress=False).folder


@pytest.fixture(scope="module")
def shards(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six shards of four parts, so that two have no part at all."""
    folder = tmp_path_factory.mktemp("shards")
    return [in_shard(recordings, folder / str(number), number, 6) for number in range(1, 7)]


@pytest.fixture
def copies(shards: list[Path], tmp_path: Path) -> list[Path]:
    """Shards that may be written into."""
    return [Path(shutil.copytree(shard, tmp_path / "shards" / shard.name)) for shard in shards]


def in_shard(recordings: Path, out: Path, number: int, count: int) -> Path:
    return prepare(known_set("nw-ucla"), recordings, out, progress=False, shard=Shard(number, count)).folder


def edit(folder: Path, /, **fields: Any) -> None:
    path = folder / "shard.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_shards_cover_every_part_once() -> None:
    for total in (0, 1, 5, 64, 889):
        for count in (1, 2, 7, 64, 1000):
            parts = [Shard(number, count).parts(total) for number in range(1, count + 1)]
            assert [part for shard in parts for part in shard] == list(range(total))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert Shard.parse(" 3 / 16") == Shard(3, 16)
    for wrong in ("3", "0/4", "5/4", "-1/4", "a/b", "1/2/3", "1/99999999999"):
        with pytest.raises(ValueError, match="shard"):
            Shard.parse(wrong)


def test_merged_shards_are_the_whole_to_the_byte(
    shards: list[Path], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = merge(tmp_path / "store", [shards[number] for number in (3, 0, 5, 1, 4, 2)])  # in any order
    assert content(report.folder) == content(whole)
    store = Store.open(report.folder)
    assert (report.clips, len(report.problems), report.already_done) == (len(store), 68, False)
    assert store.ids.tolist() == sorted(store.ids.tolist())
    bar = capsys.readouterr().err
    assert "merge nw-ucla" in bar and f"{len(store)}/{len(store)}" in bar
    assert [path.name for path in tmp_path.iterdir()] == ["store"]

    before = (report.folder / "positions.npy").stat()
    again = merge(report.folder, shards, progress=False)
    assert again.already_done and "nothing to do" in str(again)
    assert (report.folder / "positions.npy").stat() == before


def test_a_shard_may_be_empty_and_is_no_store(shards: list[Path], recordings: Path) -> None:
    listing = [json.loads((shard / "shard.json").read_text()) for shard in shards]
    assert [len(shard["clips"]) for shard in listing] == [0, 1, 1, 0, 1, 1]
    assert [sum(shard["clips"].values()) for shard in listing] == [0, 63, 64, 0, 0, 9]
    assert [shard["refused"] for shard in listing] == [2, 1, 0, 0, 64, 1]
    with pytest.raises(FileNotFoundError, match="not a prepared data set"):
        Store.open(shards[1])
    again = prepare(known_set("nw-ucla"), recordings, shards[1], progress=False, shard=Shard(2, 6))
    assert (again.already_done, again.clips, len(again.problems)) == (True, 63, 1)
    with pytest.raises(FileExistsError, match=r"is shard 2/6 of 'nw-ucla', not 3/6; overwrite it"):
        prepare(known_set("nw-ucla"), recordings, shards[1], progress=False, shard=Shard(3, 6))
    with pytest.raises(FileExistsError, match="is no prepared data set"):
        prepare(known_set("nw-ucla"), recordings, shards[1], progress=False)


def test_opening_a_shard_says_what_to_do(shards: list[Path]) -> None:
    with pytest.raises(FileNotFoundError, match="one shard of it; join all with 'bonegraph merge' first"):
        Store.open(shards[0])


def test_a_shard_can_be_written_again(copies: list[Path], shards: list[Path], recordings: Path, whole: Path) -> None:
    (copies[1] / part_file(0)).write_bytes(b"half")
    again = prepare(
        known_set("nw-ucla"), recordings, copies[1], progress=False, overwrite=True, shard=Shard(2, 6)
    ).folder
    with np.load(again / part_file(0)) as mended, np.load(shards[1] / part_file(0)) as good:
        np.testing.assert_array_equal(mended["positions"], good["positions"])
    assert {path.name for path in copies[1].parent.iterdir()} == set("123456")
    assert content(merge(whole.parent / "again", copies, progress=False).folder) == content(whole)


def test_an_interrupted_shard_goes_on(recordings: Path, tmp_path: Path, whole: Path) -> None:
    stopped: list[str] = []

    class Stops(type(known_set("nw-ucla"))):  # type: ignore[misc]
        def read(self, source: Any) -> Any:
            if source.id > "a01_s07" and not stopped:
                stopped.append(source.id)
                raise KeyboardInterrupt
            return super().read(source)

    known = Stops()
    for shard in (Shard(1, 2), Shard(2, 2)):
        out = tmp_path / "shards" / str(shard.number)
        if shard.number == 1:
            with pytest.raises(KeyboardInterrupt, match="1 of 2 parts are kept"):
                prepare(known, recordings, out, progress=False, shard=shard)
            # What was kept is of this shard and of no other.
            other = prepare(known, recordings, out, progress=False, shard=Shard(2, 2))
            assert other.reused_parts == 0
            shutil.rmtree(out)
        prepare(known, recordings, out, progress=False, shard=shard)
    merged = content(merge(tmp_path / "store", sorted((tmp_path / "shards").iterdir()), progress=False).folder)
    expected = content(whole)
    assert {name: merged[name] for name in merged if name != "dataset.json"} == {
        name: expected[name] for name in expected if name != "dataset.json"
    }


def test_what_does_not_fit_is_refused_by_name(
    shards: list[Path], copies: list[Path], recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "store"

    def refused(folders: list[Path], match: str) -> None:
        with pytest.raises((ValueError, FileNotFoundError), match=match) as caught:
            merge(out, folders, progress=False)
        assert "\n" not in str(caught.value)
        assert not out.exists() and not list(tmp_path.glob(".store*"))

    refused([], "no shards to merge")
    refused(shards[:1] + shards[2:4], r"3 of 6 shards are missing: 2, 5, 6; prepare them with --shard 2/6")
    refused([*shards, copies[3]], r"shard 4 of 6 is given twice: '.*4' and '.*shards/4'")
    refused([*shards[:5], tmp_path / "nowhere"], "no folder '.*nowhere'")
    refused([*shards[:5], recordings], r"is no finished shard \(it has no shard.json\)")
    one = in_shard(recordings, tmp_path / "of two", 1, 2)
    refused([*shards[:5], one], r"are shards of different preparations: one is 1/6, the other 1/2\.")

    more = tmp_path / "more"
    shutil.copytree(recordings, more)
    write_clip(more, "a12_s01_e00_v01")
    refused([*shards[:5], in_shard(more, tmp_path / "more files", 6, 6)], "hold different files")
    seeds = [
        prepare(Synthetic(seed, 1, 1), None, tmp_path / f"seed{seed}", progress=False, shard=Shard(seed, 2)).folder
        for seed in (1, 2)
    ]
    refused(seeds, r"different settings, 'replications=1, seed=1, subjects=1' and 'replications=1, seed=2")
    refused([shards[0], seeds[0]], "one is 1/6, the other 1/2")

    card = json.loads((copies[2] / "shard.json").read_text())["card"]
    edit(copies[2], card={**card, "made": {**card["made"], "bonegraph": "0.0.1"}})
    refused(copies, r"were made by different versions of bonegraph, .* and 0\.0\.1")
    edit(copies[2], card={**card, "source": "elsewhere"})
    edit(copies[1], parts=3)
    refused(copies, "they differ in number of parts")
    edit(copies[1], parts=4)

    (copies[1] / part_file(0)).unlink()
    refused(copies, r"part-000000.npz' is missing or cut off; remove the folder '.*2' and prepare shard 2/6 again")
    whole_part = (shards[1] / part_file(0)).read_bytes()
    (copies[1] / part_file(0)).write_bytes(whole_part[: len(whole_part) // 2])
    refused(copies, "is missing or cut off")
    flipped = bytearray(whole_part)
    flipped[len(flipped) // 2] ^= 255
    (copies[1] / part_file(0)).write_bytes(flipped)
    refused(copies, r"is damaged \(.*; remove the folder")
    # A shard that says it is another one has that one's clips.
    shutil.rmtree(copies[2])
    shutil.copytree(shards[1], copies[2])
    (copies[1] / part_file(0)).write_bytes(whole_part)
    (copies[2] / part_file(0)).rename(copies[2] / part_file(1))
    edit(copies[2], shard="3/6", clips={part_file(1): 63})
    refused(copies, r"clip 'a01_s00_e00_v01' is there twice")
    edit(copies[2], clips={part_file(1): 64})
    refused(copies, "holds 63 clips instead of 64")
    for text in ("[]", "{", '{"format": "bonegraph shard 1"}', json.dumps({"format": "bonegraph shard 1", "shard": 1})):
        (copies[2] / "shard.json").write_text(text)
        refused(copies, "shard.json' (cannot be used|is damaged)")
    edit_text = json.loads((shards[2] / "shard.json").read_text())
    (copies[2] / "shard.json").write_text(json.dumps({**edit_text, "parts": 10**18}))
    refused(copies, "its parts are not those of shard 3/6")


def test_the_folder_name_of_the_recordings_does_not_matter(recordings: Path, tmp_path: Path, whole: Path) -> None:
    shutil.copytree(recordings, tmp_path / "scratch of node 7")
    folders = [
        in_shard(recordings, tmp_path / "1", 1, 2),
        in_shard(tmp_path / "scratch of node 7", tmp_path / "2", 2, 2),
    ]
    assert content(merge(tmp_path / "store", folders, progress=False).folder) == content(whole)


def test_no_usable_clip_in_any_shard(tmp_path: Path) -> None:
    write_clip(tmp_path / "in", "a01_s01_e01_v01", [])
    folders = [in_shard(tmp_path / "in", tmp_path / str(number), number, 2) for number in (1, 2)]
    with pytest.raises(ValueError, match=r"none of the 1 clips of 'nw-ucla' can be used \(first: 'a01_s01"):
        merge(tmp_path / "store", folders, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "in"]


def test_places_that_are_taken(shards: list[Path], copies: list[Path], tmp_path: Path, whole: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(FileExistsError, match="is there and is no prepared data set"):
        merge(tmp_path / "mine", shards, progress=False)
    with pytest.raises(FileExistsError, match="is taken by no store"):
        merge(tmp_path / "mine", shards, progress=False, overwrite=True)
    with pytest.raises(ValueError, match="would lie in the shard"):
        merge(copies[0] / "store", copies, progress=False)
    other = shutil.copytree(whole, tmp_path / "other")
    card = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps({**card, "made": {"files": "others"}}))
    with pytest.raises(FileExistsError, match="from other files or settings"):
        merge(other, shards, progress=False)
    assert content(merge(other, shards, progress=False, overwrite=True).folder) == content(whole)


def test_a_full_disk_leaves_nothing_and_the_same_command_merges(
    shards: list[Path], tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["merge", str(tmp_path / "store"), *map(str, shards), "--progress", "false"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        assert main(arguments) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    line = capsys.readouterr().err
    assert line.startswith(f"bonegraph merge: cannot write '{tmp_path / 'store'}': the disk") and line.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert main(arguments) == 0
    assert content(tmp_path / "store") == content(whole)


def test_a_killed_merge_and_two_at_once(shards: list[Path], tmp_path: Path, whole: Path) -> None:
    work = tmp_path / ".store.preparing"
    (work / "store").mkdir(parents=True)
    (work / "store" / "positions.npy").write_bytes(b"half")  # what a kill leaves behind
    (work / "files.txt").write_text("merge of something")
    with held(work, "somebody else"), pytest.raises(BlockingIOError, match=r"another run is preparing '.*store'; wait"):
        merge(tmp_path / "store", shards, progress=False)
    assert content(merge(tmp_path / "store", shards, progress=False).folder) == content(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_the_commands(recordings: Path, tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 3):
        out = str(tmp_path / str(number))
        arguments = ["prepare", "nw-ucla", out, "--source", str(recordings), "--shard", f"{number}/3"]
        assert main([*arguments, "--progress", "false"]) == 0
    assert "shard 3/3, to be merged with the others" in capsys.readouterr().out
    store = str(tmp_path / "store")
    assert main(["merge", store, *(str(tmp_path / str(number)) for number in (1, 2, 3)), "--progress", "false"]) == 0
    assert "136 clips, 68 files refused" in capsys.readouterr().out
    assert content(tmp_path / "store") == content(whole)
    wrong = (
        (["prepare", "nw-ucla", store, "--source", str(recordings), "--shard", "4/3"], "shard 4/3 does not exist"),
        (["prepare", "nw-ucla", store, "--source", str(recordings), "--shard", "x"], "a shard is written as 3/16"),
        (["merge", store], "shards"),
        (["merge"], "out"),
        (["merge", store, "nowhere"], "no folder 'nowhere'"),
    )
    for arguments, text in wrong:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert text in error and error.count("\n") == 1, error


def test_the_table_of_a_part_is_read_without_its_arrays(shards: list[Path]) -> None:
    part = load(shards[1] / part_file(0), arrays=False)
    assert (len(part.rows), len(part.problems), part.cells) == (63, 1, None)
    assert load(shards[1] / part_file(0)).cells is not None
