"""Where results go and how figures look."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from diffuse_cli.cli.options.types import Decorator, WholeNumber, grouped, option
from diffuse_cli.plots.formats import Look, check_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FigureOutput(NamedTuple):
    """Where a figure goes and how it looks: `--out`, `--dark`, `--width`, `--dpi` and `--open`."""

    file: Path | None
    look: Look
    dpi: int
    show: bool

    def place(self, folder: Path, name: str) -> Path:
        """Where a figure of a run or an exact denoiser goes: --out, else `folder`/figures/`name`.png."""
        return self.file or place_in_run(folder, name, self.look)

    def of_part(self, suffix: str) -> "FigureOutput":
        """That of one of several figures: the suffix stands in the name of --out, before the ending."""
        return self if self.file is None else self._replace(file=self.file.with_stem(self.file.stem + suffix))

    def save(self, figure: "Figure", path: Path) -> Path:
        """Write a figure, and show it if that is asked for; the path."""
        from diffuse_cli.plots import style

        saved = style.save_figure(figure, path, dpi=self.dpi)
        if self.show:
            launch(saved)
        return saved


def launch(path: Path) -> None:
    """Show a file in the program that the desktop has for it; a note where there is none."""
    from diffuse_cli.cli import terminal

    if click.launch(str(path)) != 0:
        terminal.note(f"There is no program here that shows {path}")


def place_in_run(folder: Path, name: str, look: Look, *, ending: str = ".png") -> Path:
    """The place of a figure in the folder of a run or an exact denoiser, which is made if need be."""
    path = folder / "figures" / f"{name}{'-dark' if look.dark else ''}{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def out_option(
    check: Callable[[Path], object], words: str, *, shown: str, flags: tuple[str, ...] = ("--out", "-o")
) -> Decorator:
    """`--out`, or these flags, handed over as `out`: a file that `check` finds fit before any work is done.

    `shown` says where results go without it.
    """

    def checked(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
        if path is not None and not ctx.resilient_parsing:
            check(path)
        return path

    return option(
        "out",
        *flags,
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=checked,
        help=f"{words}  [default: {shown}]",
    )


def open_option(what: str) -> Decorator:
    """`--open`, handed over as `show`."""
    return option("show", "--open", is_flag=True, help=f"Show {what} when it is written.")


def figure_output(shown: str, *, flags: tuple[str, ...] = ("--out", "-o")) -> Decorator:
    """`--out` (or these flags), `--dark`, `--width`, `--dpi` and `--open` of a figure, handed over as `output`, a
    FigureOutput; `shown` says where it goes without --out."""
    return grouped(
        "output",
        lambda out, dark, width, dpi, show: FigureOutput(out, Look(dark, width), dpi, show),
        out_option(check_path, "Where to: .png, .svg or .pdf.", shown=shown, flags=flags),
        option("--dark", is_flag=True, help="Light on dark."),
        option(
            "--width",
            type=click.FloatRange(1, 40),
            metavar="INCHES",
            show_default="what suits it",
            help="How wide; text keeps its size.",
        ),
        option("--dpi", type=WholeNumber(20, 1200), default=200, show_default=True, help="Resolution of a .png."),
        open_option("the figure"),
    )
