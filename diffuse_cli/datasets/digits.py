"""Handwritten digits of 8 × 8 pixels: 1,797 pictures, a fixed set of rows like a user's file."""

import numpy as np

from diffuse_cli.datasets.dataset import Classes, Dataset, standardise

_SIDE, _KINDS = 8, 10


def digits() -> Dataset:
    """The digits of scikit-learn (Alpaydin & Kaynak 1998): 64 columns, ink from 0 to 16 in each pixel, row by row from
    the upper left; the label of each is its digit. All columns have one scale, since some pixels never have ink.

    >>> dataset = digits()
    >>> dataset.points.shape, dataset.view, dataset.classes.label_names[:3], dataset.column_names[:2]
    ((1797, 64), 'images', ('0', '1', '2'), ('r0c0', 'r0c1'))
    """
    from sklearn.datasets import load_digits

    points, labels = load_digits(return_X_y=True)

    def draw_labelled(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        rows = rng.integers(len(points), size=n)
        return points[rows], labels[rows]

    shares = np.bincount(labels, minlength=_KINDS) / len(labels)
    return Dataset(
        lambda rng, n: draw_labelled(rng, n)[0],
        points.shape[1],
        standardise(points, per_column=False),
        view="images",
        points=points,
        columns=tuple(f"r{row}c{column}" for row in range(_SIDE) for column in range(_SIDE)),
        origin=f"{len(points):,} digits of scikit-learn, {_SIDE} × {_SIDE} pixels",
        labels=labels,
        classes=Classes(shares, draw_labelled, None, tuple(map(str, range(_KINDS)))),
    )
