"""Turns, memory, figures and pictures of ``bonegraph bench``."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bonegraph.bench.cases import CASES
from bonegraph.bench.data import RECORDINGS, data_row, skeleton_text
from bonegraph.bench.measure import take_turns
from bonegraph.bench.memory import added_memory
from bonegraph.bench.networks import TRAINING, flops_of, model_of, network_rows
from bonegraph.bench.peak import peak_rows, peaks
from bonegraph.bench.plot import picture
from bonegraph.bench.report import busy, content, faster, markdown, text
from bonegraph.bench.rows import Precision, Row, quartiles, short
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.models.complexity import complexity
from bonegraph.read.ntu import read_recording


def row(
    way: str = "plain", clock: float = 0.0, processor: float = 0.0, threads: int = 1, run: Callable[[], object] = int
) -> Row:
    """A row that took some seconds twice, or no turn yet."""
    made = Row("stgcn", way, "N1T64", "inference", "fp32", threads, 4, 1_000_000_000, run)
    if clock:
        made.clock_s, made.processor_s = [clock, clock], [processor, processor]
    return made


def test_rows_take_turns() -> None:
    order = ""

    def named(name: str) -> Callable[[], None]:
        def run() -> None:
            nonlocal order
            order += name

        return run

    kept: list[str] = []
    rows = [row(run=named("A")), row(run=named("B")), row(threads=2, run=named("C"))]
    before = torch.get_num_threads()
    take_turns(rows, 2, progress=False, after=lambda: kept.append(order))
    assert order == "ABABABCCC"
    assert kept == ["ABAB", "ABABAB", "ABABABCC", "ABABABCCC"]
    assert [len(one.clock_s) for one in rows] == [len(one.processor_s) for one in rows] == [2, 2, 2]
    assert torch.get_num_threads() == before


def test_ctrl_c_keeps_the_turns_before() -> None:
    calls = 0

    def impatient() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    rows = [row(), row(run=impatient)]
    with pytest.raises(KeyboardInterrupt):
        take_turns(rows, 5, progress=False, after=lambda: None)
    assert [len(one.clock_s) for one in rows] == [2, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its own peak, and lets it forget it")
def test_memory_is_what_was_added_at_most() -> None:
    held: list[object] = [np.ones(30_000_000)]  # 240 MB that were there before

    def work() -> None:
        first = np.ones(5_000_000)
        del first
        held.append(np.ones(10_000_000))

    found = added_memory(work)
    assert found is not None and 70e6 < found < 130e6
    assert (small := added_memory(lambda: None)) is not None and small < 10e6


def test_the_work_is_that_of_the_people_who_are_there() -> None:
    model = model_of("stgcn", "quarter")
    one = complexity(model, 64, 2).flops
    assert flops_of(model, CASES["N8T64"]) == 8 * one
    assert flops_of(model, CASES["mix"]) == 6 * one  # 12 people in pairs


def test_rows_of_a_model() -> None:
    precisions: list[Precision] = ["fp32", "bf16"]
    rows = list(
        network_rows("stgcn", "quarter", ["naive", "plain"], ["N1T64"], ["inference", "training"], precisions, 1)
    )
    assert [(one.way, one.kind, one.precision) for one in rows] == [
        (way, kind, precision)
        for kind in ("inference", "training")
        for precision in precisions
        for way in ("naive", "plain")
    ]
    assert rows[4].flops == TRAINING * rows[0].flops
    answers = [one.run() for one in rows[:4]]
    assert all(isinstance(answer, torch.Tensor) and answer.shape == (1, 60) for answer in answers)
    assert [answer.dtype for answer in answers if isinstance(answer, torch.Tensor)] == [torch.float32] * 2 + [
        torch.bfloat16
    ] * 2
    for one in rows[4:]:
        one.run()
    again = rows[1].run()
    assert isinstance(again, torch.Tensor) and isinstance(answers[1], torch.Tensor)
    assert torch.equal(again, answers[1])  # training left the others alone


def test_models_without_a_naive_network_are_measured_without() -> None:
    rows = network_rows("tcn", "quarter", ["naive", "plain"], ["N1T64"], ["inference"], ["fp32"], 1)
    assert [one.way for one in rows] == ["plain"]


def test_peaks() -> None:
    rows = list(peak_rows("fp32", 1))
    assert {one.way for one in rows} == {"convolution", "product"}
    assert rows[0].flops == 2 * 16 * 64 * 25 * 64 * 64 * 9
    shape = rows[0].run()
    assert isinstance(shape, torch.Tensor) and shape.shape == (16, 64, 64, 25)
    rows[0].clock_s, rows[0].processor_s = [9.0, 9.0], [0.5, 0.25]
    rows[1].clock_s, rows[1].processor_s = [9.0, 9.0], [5.0, 5.0]
    assert peaks(rows) == {("fp32", 1): rows[0].flops / 0.25}


def test_one_thread_is_judged_by_the_processor() -> None:
    naive, plain = row("naive", 8.0, 3.0), row("plain", 4.0, 1.0)
    assert faster(naive, plain) == 3
    assert plain.rate == 1e9
    assert faster(row("naive", 8.0, 3.0, threads=2), row("plain", 4.0, 1.0, threads=2)) == 2
    data = plain.as_data()
    assert (data["median_s"], data["clips_per_s"], data["gflops"]) == (4.0, 1.0, 1.0)
    assert quartiles([1.0]) == (1.0, 1.0, 1.0)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)


def test_a_busy_machine_is_said_to_be() -> None:
    assert busy([row(clock=1.0, processor=0.99)], 0.1) == []
    assert len(busy([row(clock=1.0, processor=0.5)], 0.1)) == 1
    assert len(busy([row(clock=1.0, processor=0.5)], 3.0)) == 2
    assert busy([row(clock=1.0, processor=0.5, threads=2)], None) == []


def test_tables_and_picture() -> None:
    rows = [row("naive", 0.3, 0.3), row("plain", 0.1, 0.1), row("fast")]
    about = {"processor": "one", "cores": 1, "torch": "2", "commit": "unknown", "memory_kept": True}
    data = content(rows, about, {"width": "full", "repeats": 2}, (0.0, 1.0), whole=False)
    said = text(rows, data)
    assert "PARTIAL" in said and "BUSY" not in said
    line = next(line for line in said.splitlines() if line.startswith("plain"))
    assert line.split() == ["plain", "100", "100-100", "100", "40", "10", "3.00x"]
    assert "model: stgcn, pass: inference" in said
    assert not any(line.startswith("fast") for line in said.splitlines())  # no turn yet
    assert "| plain | 100 | 100-100 | 100 | 40 | 10 | 3.00x |" in markdown(rows, data)
    drawn = picture(rows, "a remark")
    assert drawn is not None
    image = Image.open(io.BytesIO(drawn))
    image.load()
    assert image.format == "PNG" and image.width > 500
    assert picture([row()]) is None


def test_numbers() -> None:
    assert [short(number) for number in (0.01234, 1.2345, 123.4, 12_345.6)] == ["0.0123", "1.23", "123", "12,346"]


def test_recordings_read_as_they_were(tmp_path: Path) -> None:
    data = Synthetic(subjects=1)
    sequence = data.read(data.find()[0])
    file = tmp_path / "S001C001P001R001A001.skeleton"
    file.write_text(skeleton_text(sequence))
    recording = read_recording(file)
    assert recording.num_frames == sequence.num_frames
    np.testing.assert_allclose(recording.positions, sequence.positions[sequence.present], atol=1e-6)


@pytest.mark.parametrize("case", ["loader", "prepare"])
def test_data(case: str, tmp_path: Path) -> None:
    one = data_row(case, tmp_path, 1)
    one.run()
    one.run()
    assert one.clips == {"loader": 1024, "prepare": RECORDINGS}[case]
    if case == "prepare":
        assert (tmp_path / "prepared" / "positions.npy").is_file()
