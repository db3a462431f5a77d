"""What the documents show is so."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from diffuse_cli.cli import COMMANDS, cli
from tests.cli.conftest import call

DOCS = Path(__file__).parent.parent / "docs"
redraw = runpy.run_path(str(DOCS / "redraw.py"))
generate = runpy.run_path(str(DOCS / "generate.py"))
BLOCKS = [match.groupdict() for match in redraw["BLOCK"].finditer((DOCS / "gallery.md").read_text())]


@pytest.mark.parametrize("page", ["commands.md", "gallery.md", "python.md"])
def test_what_is_generated_is_up_to_date(page):
    """If it is not: python docs/generate.py"""
    assert (DOCS / page).read_text(encoding="utf-8") == generate["pages"]()[page]


def test_every_command_has_all_its_options_in_the_page_of_commands():
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", (DOCS / "commands.md").read_text(), re.M | re.S))
    assert list(sections) == list(COMMANDS)
    for name, section in sections.items():
        params = cli.get_command(None, name).params
        flags = {opt for param in params if not getattr(param, "hidden", False) for opt in param.opts if opt[0] == "-"}
        assert flags <= set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section)), name


def test_the_worked_example_draws_its_figure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.DOTALL)
    exec(compile(code, "docs/python.md", "exec"), {})
    assert (tmp_path / "forward.png").read_bytes().startswith(b"\x89PNG")


def test_the_functions_of_the_table_are_there():
    import importlib

    names = re.findall(r"^\| `(diffuse_cli\.\S+)`", (DOCS / "python.md").read_text(), re.MULTILINE)
    assert len(names) > 10
    for name in names:
        module, _, function = name.rpartition(".")
        found = getattr(importlib.import_module(module), function)
        assert found.__doc__
        assert "dark" in found.__annotations__, name
        assert "width" in found.__annotations__ or name.endswith("animation_of_points"), name


def test_the_gallery_shows_every_figure():
    shown = {word for block in BLOCKS for word in shlex.split(block["commands"].replace("\\\n", " "))}
    others = {"animate", "report", "compare", "verify", "explain"}
    assert {name for name in COMMANDS if name.startswith("plot-")} | others <= shown


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: Path(block["picture"] or "runs").stem)
def test_commands_of_the_gallery_can_be_read_and_their_pictures_are_there(block):
    commands = block["commands"].replace("\\\n", " ").strip().splitlines()
    if block["picture"]:
        assert len(commands) == 1
        assert (DOCS / block["picture"]).is_file()
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "diffuse"
        found = cli.get_command(None, words[1])
        found.make_context(words[1], words[2:], resilient_parsing=False).close()


@pytest.mark.parametrize("page", [*DOCS.glob("*.md"), DOCS.parent / "README.md"], ids=lambda page: page.name)
def test_every_picture_of_every_page_is_there(page):
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text()):
        assert (page.parent / picture).is_file(), picture


def test_contributing_names_sessions_and_files_that_are_there():
    root = DOCS.parent
    text = (root / "CONTRIBUTING.md").read_text()
    sessions = set(re.findall(r"@nox\.session\ndef (\w+)", (root / "noxfile.py").read_text()))
    assert set(re.findall(r"nox -s (\w+)", text)) == sessions
    paths = [word for word in re.findall(r"`([\w./]+)`", text) if "/" in word]
    assert len(paths) > 10
    assert [path for path in paths if not (root / path).exists() and not (root / "diffuse_cli" / path).exists()] == []


def test_pictures_are_small():
    pictures = [path for path in DOCS.rglob("*") if path.suffix in (".png", ".gif")]
    assert pictures
    assert max(path.stat().st_size for path in pictures) < 2_000_000
    assert sum(path.stat().st_size for path in pictures) < 12_000_000


def test_a_picture_that_is_not_in_the_gallery_is_told(capsys):
    with pytest.raises(SystemExit, match="no picture named nothing"):
        redraw["main"](["nothing"])


def test_help_of_every_drawing_command_shows_an_example():
    for name in COMMANDS:
        assert f"diffuse {name}" in call(name, "--help").out
