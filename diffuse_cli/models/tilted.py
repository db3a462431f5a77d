"""The law that a guidance is said to sample, as a dataset."""

from collections.abc import Callable
from functools import cache

import numpy as np

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import grid_law
from diffuse_cli.errors import DiffuseError
from diffuse_cli.guidance.base import Guidance

_REACH = 10_000  # draws that give the range of a law


def said_to_sample(guidance: Guidance) -> Callable[[Dataset, Dataset], Dataset]:
    """(the data with the condition, all data) -> the data of the law that the guidance is said to sample; the first
    where that is unknown, or has too many columns for a grid."""

    def aim(part: Dataset, whole: Dataset) -> Dataset:
        w, known = guidance.w, part.exact is not None and whole.exact is not None
        if w is None or w == 1 or guidance.needs == "guide" or whole.dim > 2 or not known:
            return part
        return tilted_dataset(part, whole, w)

    return aim


def tilted_dataset(part: Dataset, whole: Dataset, w: float) -> Dataset:
    """The data of π_w ∝ p(x | c)^w p(x)^(1 − w), on a grid; data of one or two columns, and laws that are known.

    part: the data with the condition c, in the model space of the whole. Raises DiffuseError where the mass of π_w is
    not within the grid, or a law is unknown.

    >>> from diffuse_cli.datasets.dataset import with_label
    >>> from diffuse_cli.datasets.gaussians import bimodal
    >>> sides = bimodal(distance=1.0, std=1.0)
    >>> tilted = tilted_dataset(with_label(sides, 1), sides, 3.0)
    >>> bool(tilted.draw(np.random.default_rng(0), 2000).mean() > 0.5)
    True
    """
    conditional, unconditional, standard = part.exact, whole.exact, whole.standard
    if conditional is None or unconditional is None:
        raise DiffuseError("a tilted law needs the exact laws of the data with and without the condition")

    @cache
    def on_grid() -> grid_law.GridLaw:
        rng = np.random.default_rng(0)
        reach = np.concatenate([standard.to_model(each.draw(rng, _REACH)) for each in (whole, part)])
        return grid_law.tilted(conditional(), unconditional(), w, *grid_law.around(reach))

    return part._replace(
        draw=lambda rng, n: standard.to_data(on_grid().draw(rng, n)),
        exact=cache(lambda: on_grid().law()),
        grid=on_grid,
        log_z=lambda: on_grid().log_z,
    )
