"""What the README tells people to type is there."""

import re
import shlex
from pathlib import Path

import pytest

from bonegraph.__main__ import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SHELL = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
LINES = [
    line[line.index("bonegraph ") :]
    for line in re.sub(r"\\\n\s*", " ", SHELL).splitlines()
    if re.match(r"(bonegraph|torchrun .* -m -- bonegraph|srun .* bonegraph) ", line)
]


def test_the_readme_shows_the_commands() -> None:
    assert {line.split()[1] for line in LINES} >= {"prepare", "fit", "evaluate", "recognise"}


@pytest.mark.parametrize("line", LINES)
def test_options_of_the_readme_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, command, *arguments = shlex.split(line)
    if command == "fit":
        assert main([command, *arguments, "--print_config"]) == 0
        assert capsys.readouterr().out.startswith("recipe: ")
        return
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert f"{option} " in text


def test_the_example_of_the_readme_is_eight_lines_and_valid() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    lines = [line for line in block.splitlines() if line]
    assert len(lines) <= 8
    compile(block, "README.md", "exec")
    names = re.findall(r"^from bonegraph import (.*)$", block, re.MULTILINE)[0].split(", ")
    import bonegraph

    assert set(names) <= set(bonegraph.__all__)
