"""Modules import only from the left of this list, so that the package reads from front to back."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bonegraph

ORDER = (
    ("allocator", "files", "plain", "seeding", "skeleton", "yaml_files"),
    ("graph",),
    ("sequence",),
    ("sample",),
    ("tracking",),
    ("read",),
    ("pose",),
    ("transforms",),
    ("datasets",),
    ("scores",),
    ("features", "second_order"),
    ("objectives",),
    ("models",),
    ("training",),
    ("inference",),
    ("viz",),
    ("bench",),
    ("reproduce",),
    ("web",),
    ("commands",),
    ("", "__main__"),
)
RANK = {part: rank for rank, parts in enumerate(ORDER) for part in parts}
ROOT = Path(bonegraph.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
# The list of known sets names the synthetic one, which is itself a known set.
ALLOWED = {("bonegraph.datasets.known", "bonegraph.datasets.synthetic")}


def name_of(file: Path) -> str:
    parts = ("bonegraph", *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(file) for file in MODULES}


def part_of(module: str) -> str:
    return (*module.split("."), "")[1]


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import hides where it points"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in NAMES else str(node.module)


def own_imports(file: Path) -> Iterator[tuple[int, str]]:
    for line, module in imports(file):
        if module == "bonegraph" or module.startswith("bonegraph."):
            yield line, module


every_module = pytest.mark.parametrize("file", MODULES, ids=name_of)


@every_module
def test_the_order_knows_every_module(file: Path) -> None:
    assert part_of(name_of(file)) in RANK


@every_module
def test_imports_point_to_the_left(file: Path) -> None:
    part = part_of(name_of(file))
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for line, module in own_imports(file)
        if part_of(module) != part and not (RANK[part_of(module)] < RANK[part] or part_of(module) in ORDER[RANK[part]])
    ]
    assert wrong == []


@every_module
def test_recognising_needs_no_training(file: Path) -> None:
    if part_of(name_of(file)) == "inference":
        assert [module for _, module in own_imports(file) if part_of(module) == "training"] == []


@every_module
def test_lightning_lives_in_training_and_in_the_datamodule(file: Path) -> None:
    name = name_of(file)
    if part_of(name) != "training" and name != "bonegraph.datasets.datamodule":
        used = [line for line, module in imports(file) if module.split(".")[0] in ("lightning", "pytorch_lightning")]
        assert used == []


def test_no_imports_run_in_a_circle() -> None:
    graph = {
        name_of(file): {
            module for _, module in own_imports(file) if module in NAMES and (name_of(file), module) not in ALLOWED
        }
        for file in MODULES
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_no_module_is_called_utils() -> None:
    assert [name for name in NAMES if name.rsplit(".", 1)[-1] in ("utils", "util", "helpers", "misc")] == []
