"""Streams: one command trains them one after the other, one scores and fuses them, one answers with all."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from bonegraph.__main__ import main
from bonegraph.inference.recogniser import Recogniser
from bonegraph.models.checkpoint import load_checkpoint, save_checkpoint
from bonegraph.scores import Scores
from bonegraph.scores.streams import FUSIONS, stream_runs
from bonegraph.transforms.streams import STREAMS

from .runs import command, content, curves, fit_arguments, kill, start, unchanged, wait_for, weights
from .test_ddp import end, free_port, launch


def arguments(store: Path, run: Path, *more: str, streams: tuple[str, ...] = STREAMS) -> list[str]:
    return [*fit_arguments(store, run, "--epochs", "2", *more), "--streams", *streams]


def printed(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    assert main([*given]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def complaint(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    assert main([*given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def unfinished(run: Path) -> list[str]:
    return [name for name in STREAMS if not (run / name / "model.safetensors").is_file()]


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four streams, killed after the first one and in the midst of the second one, then trained to the end."""
    folder = tmp_path_factory.mktemp("streams")
    run, log = folder / "run", folder / "log"
    process = start(arguments(store, run), log, slow=True)
    wait_for(lambda: (run / "joint/model.safetensors").is_file(), process)
    kill(process)
    assert unfinished(run) == ["bone", "joint-motion", "bone-motion"]
    joint = content(run / "joint")
    process = start(arguments(store, run), log, slow=True)
    wait_for(lambda: (run / "bone/checkpoints/last.ckpt").is_file(), process)
    kill(process)
    assert unfinished(run) == ["bone", "joint-motion", "bone-motion"]
    ended = command(arguments(store, run), folder)
    assert ended.code == 0, ended.errors
    lines = [f"{number} of 4: {name}" for number, name in enumerate(STREAMS, start=1)]
    done = [f"finished: {run / name / 'model.safetensors'}" for name in STREAMS]
    assert ended.errors.splitlines() == [line for both in zip(lines, done, strict=True) for line in both]
    assert content(run / "joint") == joint
    return run


@pytest.fixture(scope="module")
def evaluated(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(trained, run)
    assert main(["evaluate", str(run), "--progress", "false"]) == 0
    return run


@pytest.fixture
def run(evaluated: Path, tmp_path: Path) -> Path:
    """Four streams that may be written into."""
    shutil.copytree(evaluated, tmp_path / "run")
    return tmp_path / "run"


def alone(run: Path, suffix: str = "") -> dict[str, Scores]:
    return {name: Scores.load(run / name / f"scores{suffix}.npz") for name in STREAMS}


def by_hand(streams: dict[str, Scores], names: tuple[str, ...], clip: str) -> np.ndarray:
    """The mean of the softmax scores of one clip."""
    rows = [streams[name].probabilities[streams[name].ids.tolist().index(clip)].astype(np.float64) for name in names]
    mean: np.ndarray = sum(rows[1:], rows[0]) / len(rows)
    return mean


def test_a_stream_is_the_run_that_it_would_be_alone(store: Path, trained: Path, tmp_path: Path) -> None:
    """Although it was interrupted, and trained in one process with others."""
    one = tmp_path / "one"
    ended = command(fit_arguments(store, one, "--epochs", "2", "--transforms.stream", "bone"), tmp_path)
    assert ended.code == 0, ended.errors
    assert weights(one / "model.safetensors") == weights(trained / "bone/model.safetensors")
    assert curves(one) == curves(trained / "bone")
    assert (one / "config.yaml").read_text() == (trained / "bone/config.yaml").read_text()


def test_overrides_go_to_all_and_nothing_but_the_stream_differs(trained: Path) -> None:
    plain = {name: yaml.safe_load((trained / name / "config.yaml").read_text()) for name in STREAMS}
    for name, settings in plain.items():
        assert settings["transforms"].pop("stream") == name
        assert settings["epochs"] == 2 and settings["model"]["widths"] == [16, 16] and settings["seed"] == 2
        assert settings == plain["joint"]
    assert {name: load_checkpoint(trained / name / "model.safetensors")[1].transforms.stream for name in STREAMS} == {
        name: name for name in STREAMS
    }


def test_finished_streams_are_left_alone_and_others_may_join(store: Path, trained: Path, tmp_path: Path) -> None:
    with unchanged(trained):
        assert command(arguments(store, trained), tmp_path).code == 0
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    shutil.rmtree(run / "bone-motion")
    before = content(run)
    with unchanged(run):
        assert command(arguments(store, run, streams=("bone", "joint")), tmp_path).code == 0
    assert command(arguments(store, run), tmp_path).code == 0
    assert {name: data for name, data in content(run).items() if not name.startswith("bone-motion")} == before
    assert weights(run / "bone-motion/model.safetensors") == weights(trained / "bone-motion/model.safetensors")


def test_fused_scores_are_the_mean_of_softmax(evaluated: Path) -> None:
    streams = alone(evaluated)
    assert len({one.probabilities.tobytes() for one in streams.values()}) == 4
    for title, names in FUSIONS.items():
        fused = Scores.load(evaluated / f"fused-{title}.npz")
        assert sorted(fused.ids) == sorted(streams["joint"].ids)
        for row, clip in enumerate(fused.ids.tolist()):
            np.testing.assert_allclose(fused.probabilities[row], by_hand(streams, names, clip), atol=1e-6)


def test_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "evaluate", str(run), "--progress", "false")
    streams = alone(run)
    labels = dict(zip(streams["joint"].ids.tolist(), streams["joint"].labels.tolist(), strict=True))

    def right(names: tuple[str, ...]) -> str:
        return f"{np.mean([by_hand(streams, names, clip).argmax() == label for clip, label in labels.items()]):.2%}"

    expected: dict[str, str] = {name: right((name,)) for name in STREAMS}
    expected["joint + bone (2s)"] = right(("joint", "bone"))
    expected["joint + bone + joint-motion + bone-motion (4s)"] = right(STREAMS)
    text = (run / "streams.md").read_text()
    assert text.splitlines()[0].startswith("demo on ") and f"part test, {len(labels)} clips" in text
    for place in (text, out):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in place.splitlines() if line[:1] == "|"]
        assert rows[0] == ["", "top-1", "top-5", "mean class"]
        assert {row[0]: row[1] for row in rows[2:]} == expected
    for name in STREAMS:
        assert f"{expected[name]}" in (run / name / "report.html").read_text()
    report = (run / "report.html").read_text()
    for row in (*STREAMS, "2s", "4s"):
        assert re.search(rf"top-1 of {row}</th><td>\d", report)
    assert f"report: {run / 'report.html'}" in out.splitlines()


def test_other_parts_and_weights(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "fused-4s.npz").read_bytes()
    chosen = Scores.load(run / "joint/scores.npz").classes[:3]
    (tmp_path / "three.txt").write_text("\n".join(chosen))
    options = ("--part", "val", "--weights", "best", "--classes", str(tmp_path / "three.txt"))
    out = printed(capsys, "evaluate", str(run), *options, "--progress", "false")
    assert (run / "fused-4s.npz").read_bytes() == before
    fused, streams = Scores.load(run / "fused-4s-val.npz"), alone(run, "-val")
    clip = str(fused.ids[3])
    np.testing.assert_allclose(fused.probabilities[3], by_hand(streams, STREAMS, clip), atol=1e-6)
    text = (run / "streams-val.md").read_text()
    assert "part val" in text and "best on the validation part" in text
    row = next(line for line in out.splitlines() if "(4s)" in line)
    share = np.mean([np.mean(fused.predicted[fused.labels == label] == label) for label in range(3)])
    assert row in text and row.split("|")[-2].strip() == f"{share:.2%}"


def test_two_streams_make_no_four(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("joint-motion", "bone-motion"):
        shutil.rmtree(run / name)
    (run / "fused-4s.npz").unlink()
    out = printed(capsys, "evaluate", str(run), "--progress", "false")
    assert "(2s)" in out and "(4s)" not in out and not (run / "fused-4s.npz").exists()
    shutil.rmtree(run / "joint")
    out = printed(capsys, "evaluate", str(run), "--progress", "false")
    assert "| bone |" in out and "(2s)" not in out


def test_recognise_answers_with_all_streams(run: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fused = Scores.load(run / "fused-4s.npz")
    for row in (0, len(fused) - 1):
        out = printed(capsys, "recognise", str(run), "--data", str(store), "--clip", str(fused.ids[row]), "--top", "16")
        answers = {action: share for share, action in (line.split(maxsplit=1) for line in out.splitlines())}
        for name, share in zip(fused.classes, fused.probabilities[row], strict=True):
            assert float(answers[name].rstrip("%")) == pytest.approx(100 * share, abs=0.06)


def test_streams_that_are_not_of_one_kind(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "bone/model.safetensors"
    recogniser = Recogniser.load(run)
    object.__setattr__(recogniser.others[0].meaning, "classes", tuple(f"{n}" for n in range(16)))
    save_checkpoint(path, recogniser.others[0].model, recogniser.others[0].meaning)
    with pytest.raises(ValueError, match="different skeletons or classes"):
        Recogniser.load(run)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="bone/model"):
        Recogniser.load(run)
    with unchanged(run):
        assert f"the run '{run / 'bone'}' is not finished" in complaint(capsys, "evaluate", str(run))


def test_compare_and_fuse_take_them(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two, four = Scores.load(run / "fused-2s.npz"), Scores.load(run / "fused-4s.npz")
    out = printed(capsys, "compare", str(run / "fused-2s.npz"), str(run / "fused-4s.npz"), "--resamples", "50")
    assert f"{two.top(1):.2%}" in out and f"{four.top(1):.2%}" in out
    printed(capsys, "fuse", str(run), "--out", str(tmp_path / "all.npz"))
    np.testing.assert_allclose(Scores.load(tmp_path / "all.npz").probabilities, four.probabilities, atol=1e-7)
    printed(capsys, "fuse", str(run / "joint"), str(run / "bone"), "--out", str(tmp_path / "two.npz"))
    np.testing.assert_allclose(Scores.load(tmp_path / "two.npz").probabilities, two.probabilities, atol=1e-7)
    line = complaint(capsys, "compare", str(run), str(run / "joint"))
    assert "is a folder of streams" in line and str(run / "fused-2s.npz") in line


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--streams joint bones", "no stream 'bones'; did you mean 'bone'? Choices: bone, bone-motion, joint"),
        ("--streams joint bone joint", "each stream may come once, got --streams joint bone joint"),
        ("--streams joint --transforms.stream joint", "either --streams or --transforms.stream"),
        ("--transforms.stream=bone --streams joint", "either --streams or --transforms.stream"),
        ("--transforms {stream:\xa0bone} --streams joint", "either --streams or --transforms.stream"),
        ("--streams", "--streams"),
        ("--streams joint --nope 3", "unrecognized arguments: --nope 3"),
    ],
)
def test_mistakes(store: Path, tmp_path: Path, given: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [option.replace("\xa0", " ") for option in given.split(" ")]
    line = complaint(capsys, *fit_arguments(store, tmp_path / "run"), *options)
    assert message in line
    assert not (tmp_path / "run").exists()


def test_folders_that_are_taken(
    store: Path, finished: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with unchanged(finished):
        assert "holds a run and no streams" in complaint(capsys, *arguments(store, finished))
    with unchanged(trained):
        assert "is there and is no run folder" in complaint(capsys, *fit_arguments(store, trained))
    run = tmp_path / "run"  # the last stream does not fit: nothing is trained before that is said
    shutil.copytree(trained / "bone-motion", run / "bone-motion")
    with unchanged(run):
        line = complaint(capsys, *arguments(store, run, "--seed", "3"))
    assert str(run / "bone-motion") in line and "seed 2, but 3 was asked for" in line


def test_what_is_a_folder_of_streams(finished: Path, trained: Path, tmp_path: Path) -> None:
    assert stream_runs(trained) == {name: trained / name for name in STREAMS}
    assert stream_runs(trained / "joint") == stream_runs(finished) == stream_runs(tmp_path / "nowhere") == {}
    (tmp_path / "x/joint").mkdir(parents=True)
    assert list(stream_runs(str(tmp_path / "x"))) == ["joint"]
    (tmp_path / "x/model.safetensors").touch()
    assert stream_runs(tmp_path / "x") == {}


def test_print_config(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, *arguments(store, tmp_path / "run", "--print_config", streams=("bone", "joint")))
    assert yaml.safe_load(out)["transforms"]["stream"] == "bone"


def test_two_processes(store: Path, tmp_path: Path) -> None:
    """torchrun starts two, which train one stream after the other together."""
    run, log = tmp_path / "run", tmp_path / "log"
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()), "-m", "--"]
    given = arguments(store, run, "--devices", "2", "--epochs", "1", streams=("joint", "bone"))
    assert end(launch(torchrun, ["bonegraph", *given], log), log) == 0
    assert re.findall(r"^(\d of 2: \S+|finished)", log.read_text(), re.MULTILINE) == [
        "1 of 2: joint", "finished", "2 of 2: bone", "finished",
    ]  # fmt: skip
    assert [len(curves(run / name)) for name in ("joint", "bone")] == [1, 1]
