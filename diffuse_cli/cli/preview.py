"""A first look at what came of a run, in block characters, where results go to a terminal. Elsewhere nothing."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diffuse_cli.cli import pictures, terminal

if TYPE_CHECKING:
    from diffuse_cli.datasets.dataset import Dataset

_COLUMNS = 36  # characters, of each picture
_LEAST_COLUMNS = 16
_GAP = 3  # characters between two pictures
_SHOWN = 10_000


def show_samples(samples: np.ndarray, dataset: "Dataset", view: str, *, seed: int) -> None:
    """Print samples [n, d] in data units beside as many draws of the data, each as a small density.

    One column is a histogram; of more than two, their first principal axes are shown; of curves, one of each.
    """
    if not terminal.shows_pictures():
        return
    console = Console(highlight=False)
    columns = min(_COLUMNS, (console.width - _GAP) // 2)
    samples = samples[:_SHOWN]
    clouds = [dataset.draw(np.random.default_rng(seed), len(samples)), samples]
    if columns < _LEAST_COLUMNS or not all(np.isfinite(cloud).all(axis=1).any() for cloud in clouds):
        return
    captions, drawn = _pictures(clouds, view, columns, console)
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    grid.add_row(*(Text(words, "bold") for words in captions))
    grid.add_row(*drawn)
    console.print(grid)


def course(records: Sequence[Mapping[str, float]]) -> str:
    """The loss in the records of a log as a sparkline, to be put after words; nothing off a terminal."""
    if not terminal.shows_pictures() or len(records) < 3:
        return ""
    return f"  {pictures.sparkline(np.array([record['loss'] for record in records], float))}"


def _pictures(
    clouds: list[np.ndarray], view: str, columns: int, console: Console
) -> tuple[tuple[str, str], list[Text]]:
    """The captions and the pictures of data and samples."""
    captions = ("data", "samples")
    if clouds[0].shape[1] == 1:
        low, high = np.quantile(np.concatenate(clouds), [0.001, 0.999])
        return captions, [Text(pictures.histogram(cloud[:, 0], low, high, columns)) for cloud in clouds]
    if view == "curves":
        captions, clouds = ("one of the data", "one of the samples"), [_curve(cloud[0], columns) for cloud in clouds]
    elif clouds[0].shape[1] > 2:
        from diffuse_cli.plots.point_colors import principal_axes

        mean, axes = principal_axes(clouds[0], 2)
        captions, clouds = ("data, two principal axes", "samples"), [(cloud - mean) @ axes for cloud in clouds]
    shown = pictures.window(clouds, columns, free=view == "curves")
    colour = not console.no_color and console.color_system in ("256", "truecolor")
    return captions, [pictures.painted(c, shown) if colour else Text(pictures.draw_density(c, shown)) for c in clouds]


def _curve(values: np.ndarray, columns: int) -> np.ndarray:
    """Points [m, 2] all along a curve of `values` [d] over [0, 1]."""
    u = np.linspace(0, 1, 8 * columns)
    return np.stack([u, np.interp(u, np.linspace(0, 1, len(values)), values)], axis=1)
