"""The command line: ``bonegraph COMMAND``. A command is a function, its help is the docstring."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Callable

COMMANDS = {
    "prepare": "make a store from recordings",
    "merge": "join the shards that many machines prepared into one store",
    "info": "what is in a store",
    "validate": "what is suspicious in a store: leaks, duplicates, broken poses, wrong labels",
    "fit": "train a model by a recipe, or go on where a run stopped",
    "convert": "make a checkpoint of public weights",
    "verify": "compare a converted checkpoint with its published accuracy",
    "evaluate": "score a part of a split; write scores.npz and report.html",
    "fuse": "add up the scores of several streams, clip by clip",
    "compare": "where two runs differ, and whether it is more than chance",
    "calibrate": 'make the probabilities of a checkpoint honest, and teach it to answer "unknown"',
    "recognise": "say what happens in one recording or clip",
    "watch": "say what people do while it happens: camera, network stream or film",
    "export": "a checkpoint as one ONNX or torch.export file, checked for equal numbers",
    "explain": "which joints, and when, an answer comes from: a film, and whether the network minds losing them",
    "draw": "pictures of a skeleton and its partitions",
    "recipes": "list the recipes",
    "bench": "how fast the models are on this machine: plain, fast, and as the papers read",
    "models": "list the models, and what each costs: parameters, multiply-adds, memory, time",
    "reproduce": "measure a table of a paper",
    "demo": "all of the above on built-in data, in three minutes",
}
"""Command name -> what it does. Each is the function ``run`` of the module of its name in `bonegraph.commands`."""

_USAGE = """usage: bonegraph COMMAND ...

{commands}

bonegraph COMMAND --help explains a command by example.
A first session: bonegraph demo
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0, 1 where a command found errors in data, 2 for a mistake of the user (one line says which),
        130 after Ctrl-C.
    """
    given = sys.argv[1:] if arguments is None else arguments
    _print_anything()
    listing = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    if not given or given[0] in ("-h", "--help"):
        print(_USAGE.format(commands=listing))
        return 0
    if given[0] == "--version":
        from importlib.metadata import version

        print(f"bonegraph {version('bonegraph')}")
        return 0
    name, rest = given[0], given[1:]
    if name not in COMMANDS:
        from bonegraph.skeleton import nearest

        return _complain(f"has no command '{name}'{nearest(name, COMMANDS)}.")
    try:
        run: Callable[[list[str]], int | None] = importlib.import_module(f"bonegraph.commands.{name}").run
        status = run(rest)
        sys.stdout.flush()
    except BrokenPipeError:  # somebody piped us into head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stop:
        print(f"\nbonegraph {name}: {str(stop) or 'stopped'}", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        return _complain(f"{name}: {_one_line(error)}")
    return status or 0


def _print_anything() -> None:
    """Escape what standard output cannot show, such as names of files in no encoding: they must stop no work."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "; make room and give the same command again"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "; give another folder or get permission"),
}


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: '{error.filename}'{_ADVICE.get(error.errno or 0, '')}."
    return " ".join(str(error).split())


def _complain(text: str) -> int:
    print(f"bonegraph {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
