"""The default style of figures: fonts, colours, the light and the dark theme, creating and saving a figure.

Colours follow Okabe & Ito (2008); colour-blind readers can distinguish them. Data and model have the same two colours
in every figure, which differ in lightness too, so that a grey print shows the difference. Only fonts that come with
matplotlib are used, except for letters of a user that they lack, so that the same arrays give the same bytes on another
machine.
"""

import contextlib
import math
import os
import textwrap
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

from diffuse_cli import files
from diffuse_cli.errors import UsageError
from diffuse_cli.plots.formats import check_path
from diffuse_cli.plots.user_text import font_families, plain

_NOTEBOOK_DPI = 110
_LAYOUT_PASSES = 4
_AT_REST = 0.004  # of the figure: the layout is final when no panel moves by more than this
_LETTER = 0.082  # inches: the mean width of a letter of a figure's title
MARGIN = 0.08  # inches
TITLE_LINE = 0.22  # inches: the height of a line of that title


class Theme(NamedTuple):
    """The colours of a figure, and its width in inches if the caller has chosen one.

    `ramp` shows an order, from dark to light; `classes` are colours of categories, ordered so that the first few differ
    in lightness as well as in hue.
    """

    name: str
    paper: str
    ink: str
    muted: str
    frame: str
    data: str
    model: str
    fill: str
    ramp: Colormap
    classes: tuple[str, ...]
    width: float | None = None

    def across(self, natural: float, *, least: float = 0.75) -> float:
        """The width in inches of a figure whose natural width is `natural` inches.

        Raises UsageError where the theme's width is below `least` times the natural one: text does not shrink.
        """
        if self.width is not None and self.width < least * natural:
            raise too_narrow(self.width, least * natural)
        return natural if self.width is None else self.width


def too_narrow(width: float, least: float) -> UsageError:
    """The error for a figure whose chosen width is less than the `least` one that its text and panels need, inches."""
    needed = math.ceil(10 * least) / 10
    return UsageError(f"a width of {width:g} inches is too narrow for this figure, which needs {needed:g} or more")


def _ramp(name: str, start: float, stop: float) -> Colormap:
    """A part of a perceptual colour map of matplotlib, without the end that is close to the background."""
    return ListedColormap(matplotlib.colormaps[name](np.linspace(start, stop, 256)), name=f"{name} {start}-{stop}")


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1f2328",
    muted="#6a7079",
    frame="#c9cdd2",
    data="#005a8c",
    model="#d55e00",
    fill="#b9c0c9",
    ramp=_ramp("plasma", 0.02, 0.81),
    classes=("#0072b2", "#e69f00", "#009e73", "#1f2328", "#d55e00", "#56b4e9", "#cc79a7"),
)
DARK = Theme(
    name="dark",
    paper="#14171c",
    ink="#e8eaed",
    muted="#9aa2ad",
    frame="#434a54",
    data="#7cc4f0",
    model="#e66f26",
    fill="#5b6470",
    ramp=_ramp("plasma", 0.22, 0.97),
    classes=("#56b4e9", "#d55e00", "#f0e442", "#009e73", "#e8eaed", "#e69f00", "#cc79a7"),
)


def _rc(theme: Theme) -> dict[str, Any]:
    return {
        "font.family": list(font_families()),
        "mathtext.fontset": "stix",
        "font.size": 10.0,
        "axes.titlesize": 10.5,
        "axes.labelsize": 10.5,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "legend.fontsize": 9.5,
        "figure.titlesize": 12.5,
        "text.color": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.labelcolor": theme.muted,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "xtick.color": theme.frame,
        "ytick.color": theme.frame,
        "axes.edgecolor": theme.frame,
        "axes.facecolor": theme.paper,
        "figure.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "axes.linewidth": 0.7,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.minor.size": 0.0,
        "ytick.minor.size": 0.0,
        "xtick.major.pad": 2.0,
        "ytick.major.pad": 2.0,
        "axes.labelpad": 2.5,
        "axes.titlepad": 5.0,
        "axes.grid": False,
        "grid.color": theme.frame,
        "grid.linewidth": 0.4,
        "lines.linewidth": 1.4,
        "lines.solid_capstyle": "round",
        "axes.unicode_minus": True,
        "legend.frameon": False,
        "legend.borderaxespad": 0.2,
        "legend.handlelength": 1.9,
        "scatter.edgecolors": "none",
        "figure.constrained_layout.h_pad": 0.05,
        "figure.constrained_layout.w_pad": 0.05,
        "figure.dpi": 100,
        "svg.hashsalt": "diffuse",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }


@contextlib.contextmanager
def default_style(*, dark: bool = False, width: float | None = None) -> Iterator[Theme]:
    """A context in which figures are drawn in the default style; matplotlib's settings are restored at its end."""
    theme = (DARK if dark else LIGHT)._replace(width=width)
    with matplotlib.style.context(["default", _rc(theme)], after_reset=True):
        yield theme


class ThemedFigure(Figure):
    """A `Figure` that holds its theme, so that it looks the same whenever it is drawn.

    matplotlib reads settings while drawing too (for late ticks, and for the salt of SVG ids). A notebook shows the
    figure without pyplot and without a magic command.
    """

    theme = LIGHT

    def draw(self, renderer) -> None:
        """Draw with the settings with which the figure was created."""
        with default_style(dark=self.theme.name == "dark"):
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return _render(self, "png", dpi=_NOTEBOOK_DPI)


def new_figure(width: float, height: float, theme: Theme, *, layout: str = "constrained") -> ThemedFigure:
    """An empty figure of `width` by `height` inches, or of the theme's width if it has one.

    Call it inside `default_style`, and `settle` once all is drawn.

    Raises UsageError where the theme's width is too small for the figure.
    """
    across = theme.across(width)
    figure = ThemedFigure(figsize=(across, height * max(across / width, 1.0)), layout=layout)
    figure.theme = theme
    return figure


def settle(figure: ThemedFigure) -> ThemedFigure:
    """Compute the layout of a drawn figure and freeze it, so that it is the same in every file.

    The layout engine converges over several calls; after one call a text may still be cut by a pixel or two. Later
    changes of the figure do not move its panels, unless `figure.set_layout_engine("constrained")` is called.
    """
    places = np.zeros((len(figure.axes), 4))
    for _ in range(_LAYOUT_PASSES):
        before = places
        figure.get_layout_engine().execute(figure)
        places = np.array([axes.get_position(original=True).bounds for axes in figure.axes])
        if np.abs(places - before).max() < _AT_REST:
            break
    figure.set_layout_engine("none")
    return figure


def heading(figure: Figure, text: str, subject: str = "", *, beside: float = 0.0) -> Text:
    """Write the title of the figure at its upper left: `text`, then `subject`, the user's text, as it is. It wraps
    where the figure is narrow.

    beside: inches at the upper right that stay free for a key.
    """
    width, math = figure.get_figwidth() - 2 * MARGIN, "$" in text
    line = f"{text}  ·  {plain(subject, beside_math=math)}" if subject else text
    if len(text) + len(subject) + 5 * bool(subject) > (width - beside) / _LETTER:
        lines = textwrap.wrap(text, max(int((width - beside) / _LETTER), 12))
        rest = textwrap.wrap(subject, max(int(width / _LETTER), 12))
        line = "\n".join(lines + [plain(part, beside_math=math) for part in rest])
    return figure.suptitle(line, x=MARGIN / figure.get_figwidth(), ha="left", linespacing=1.25)


def save_figure(figure: Figure, path: str | os.PathLike, *, dpi: float = 200) -> Path:
    """Write a figure as .png, .svg or .pdf, and return the path. The same figure gives the same bytes each time.

    The file appears complete or not at all: it is written under another name and then moved. `dpi` is the resolution of
    a PNG, and of clouds of many points inside SVG and PDF.

    Raises UsageError for another ending, DiffuseError where the folder is missing or cannot be written to.
    """
    path = check_path(path)
    content = _render(figure, path.suffix.lower().removeprefix("."), dpi=dpi)
    files.write_file(path, content)
    return path


def _render(figure: Figure, kind: str, *, dpi: float) -> bytes:
    # A date or a version number in the file would make two equal figures differ.
    fixed = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": "diffuse"},
        "pdf": {"CreationDate": None, "Creator": "diffuse", "Producer": None},
    }
    theme = getattr(figure, "theme", LIGHT)
    content = BytesIO()
    with default_style(dark=theme.name == "dark"):
        figure.savefig(content, format=kind, dpi=dpi, metadata=fixed[kind])
    return content.getvalue()
