"""Many damaged files of one kind, in a process of its own: a crash of the interpreter is told with its file."""

from __future__ import annotations

import faulthandler
import multiprocessing
import shutil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from .attempt import attempt
from .seeds import targets

MANY = 20  # failures of one kind, after which the rest of it is left out


def work(name: str, first: int, count: int, folder: Path, answers: Connection) -> None:
    """Read damaged files of one kind; answers each with None or the failure in words."""
    faulthandler.enable()
    target = targets()[name]
    target.place(folder)
    failures = 0
    for number in range(first, first + count):
        # Beyond this, not even a signal got through: some C code turns in circles.
        faulthandler.dump_traceback_later(60, exit=True)
        failure = attempt(target, number, folder)
        if failure is not None:
            failures += 1
            kept = folder.parent / f"{name.replace(' ', '-')}-{number}-{Path(target.file).name}"
            shutil.copy(folder / target.file, kept)
            answers.send(str(failure).replace(str(folder / target.file), str(kept)))
        else:
            answers.send(None)
        if failures == MANY:
            break
    faulthandler.cancel_dump_traceback_later()


def fuzz(name: str, first: int, count: int, folder: Path, bar: tqdm[NoReturn]) -> list[str]:
    """The failures of one kind, in words."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(name, first, count, folder, sending))
    process.start()
    sending.close()
    failures, done = [], 0
    while True:
        try:
            answer = receiving.recv()
        except EOFError:
            break
        done += 1
        bar.update()
        if answer is not None:
            failures.append(answer)
            bar.write(answer)
    process.join()
    if process.exitcode != 0:
        failures.append(f"{name}, number {first + done}: the process died ({process.exitcode})\nfile: below {folder}")
        bar.write(failures[-1])
    else:
        shutil.rmtree(folder)
    bar.update(count - done)
    return failures
