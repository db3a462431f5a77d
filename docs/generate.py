"""Write what the documents say of commands and figures: commands.md, and parts of gallery.md and python.md.

    python docs/generate.py

Options come from click, figures from diffuse_cli/figures/table.py, plot functions from their signatures and docstrings.
Between the marks <!-- generated: … --> and <!-- end --> of a page everything is replaced; a test holds the pages to it.
"""

import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import click

from diffuse_cli import plots
from diffuse_cli.cli import COMMANDS, cli
from diffuse_cli.figures.table import FIGURES, Picture

HERE = Path(__file__).parent
WIDTH = 108  # of a command of the gallery


def main() -> None:
    for page, text in pages().items():
        (HERE / page).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The text of each page, by name."""
    return {
        "commands.md": commands(),
        "gallery.md": filled("gallery.md", "figures", figures()),
        "python.md": filled("python.md", "plot functions", plot_functions()),
    }


def filled(page: str, what: str, text: str) -> str:
    """A page with `text` between its marks."""
    marks = re.compile(rf"(<!-- generated: {what} -->\n).*?(<!-- end -->\n)", re.DOTALL)
    return marks.sub(lambda match: f"{match[1]}\n{text}\n{match[2]}", (HERE / page).read_text(encoding="utf-8"))


# --- commands


def commands() -> str:
    """Every command: its line, its options, its examples."""
    head = (
        "# Commands\n\nWhat `diffuse COMMAND --help` says, in one page; `python docs/generate.py` writes it. "
        "Every option can be set by an\nenvironment variable too: `--steps` of `train` by `DIFFUSE_TRAIN_STEPS`. "
        "`-h` and\n`--help` are understood everywhere.\n"
    )
    with click.Context(cli, info_name="diffuse", auto_envvar_prefix="DIFFUSE") as group:
        return "\n".join([head, *(section(group, name) for name in COMMANDS)])


def section(group: click.Context, name: str) -> str:
    command = cli.get_command(group, name)
    with click.Context(command, parent=group, info_name=name) as ctx:
        usage = " ".join(command.collect_usage_pieces(ctx))
        records = [param.get_help_record(ctx) for param in command.params]  # all but --help, which every command has
    rows = [f"| `{in_code(flags)}` | {cell(words)} |" for flags, words in filter(None, records)]
    examples = textwrap.dedent(command.epilog.partition("Examples:\n")[2])
    return "\n".join(
        [
            f"## {name}\n",
            f"{COMMANDS[name].summary}\n",
            f"`diffuse {name} {usage}`\n",
            "| option | what it is |",
            "|---|---|",
            *rows,
            f"\n```sh\n{examples}\n```\n",
        ]
    )


def in_code(words: str) -> str:
    """Code in a cell of a table, where | divides cells."""
    return words.replace("|", "\\|")


def cell(words: str) -> str:
    """Words in a cell of a table, where < begins markup too."""
    return in_code(" ".join(words.split())).replace("<", "&lt;")


# --- figures


def figures() -> str:
    return "\n".join(part for name in FIGURES for part in figure(name))


def figure(name: str) -> list[str]:
    row = FIGURES[name]
    return [f"### {name}\n\n{row.summary}\n", *(picture(name, each) for each in row.pictures)]


def picture(name: str, shown: Picture) -> str:
    before = "\n".join(textwrap.wrap(shown.before, 120)) + "\n\n" if shown.before else ""
    lines = textwrap.wrap(
        f"diffuse {name} {shown.words}", WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
    command = " \\\n".join(lines)
    return f"{before}```sh\n{command}\n```\n\n![{shown.shows}](gallery/{shown.file})\n"


# --- plot functions


def plot_functions() -> str:
    rows = [
        f"| `{function.__module__}.{function.__name__}` | {taken(function)} | {sentence(function)} |"
        for function in every_plot()
    ]
    return "\n".join(["| function | what it takes | figure |", "|---|---|---|", *rows, ""])


def every_plot() -> list[Callable[..., object]]:
    """The public functions of `plots` that draw, light or dark as they are asked."""
    functions = []
    for module in pkgutil.iter_modules(plots.__path__, "diffuse_cli.plots."):
        for name, value in vars(importlib.import_module(module.name)).items():
            local = inspect.isfunction(value) and value.__module__ == module.name and not name.startswith("_")
            if local and {"dark", "subject"} <= set(inspect.signature(value).parameters):
                functions.append(value)
    return functions


def taken(function: Callable[..., object]) -> str:
    """The parameters that have no default, and the types of those that are no arrays."""
    parts = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is parameter.empty:
            kind = re.sub(r"\w+\.", "", inspect.formatannotation(parameter.annotation))
            parts.append(f"`{name}`" if "ndarray" in kind or "[Array" in kind else f"`{in_code(f'{name}: {kind}')}`")
    return ", ".join(parts)


def sentence(function: Callable[..., object]) -> str:
    """The first sentence of its docstring."""
    text = " ".join(inspect.getdoc(function).partition("\n\n")[0].split())
    return cell(re.split(r"\.(?= |$)", text)[0])


if __name__ == "__main__":
    main()
