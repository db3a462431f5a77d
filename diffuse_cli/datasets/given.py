"""What is given with the points of a law p(x | c), values of columns or words, and the part of a dataset at one."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from diffuse_cli.datasets.dataset import Dataset, Draw, Standardiser
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law

_log = logging.getLogger(__name__)

_NEAR, _FEWEST = 20, 50  # one of so many rows of a file is near a value, but so many of them at least


class Given(NamedTuple):
    """What is given with each point: the values [c] of some columns, or the words that are true of it.

    names: of the columns [c]; or all words. places: of words, how many of the names belong to each place of a sentence,
    in their order; a row is the number of its word in each place, −1 where none is said. Empty for columns.
    draw: (rng, n) -> (points [n, d], rows [n, c]), data units. `Dataset.draw` gives the same points alone.
    standard: of the columns. None for words.
    exact: row [c] -> the law p(x | row) in the model space of the dataset, or None where it is not known at noise
        levels. It raises UsageError where no point has this row. None where no such law is known, as for a file.
    draw_at: (rng, n, row [c]) -> n independent draws of p(x | row), data units. None for a file.
    log_density: (points [n, d], rows [n, c]) -> log p(x | row) [n] in nats, data units. None where it is not known.
    rows: [n, c], of a user's file those of each of its points.
    """

    names: tuple[str, ...]
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
    standard: Standardiser | None = None
    exact: "Callable[[np.ndarray], Law | None] | None" = None
    draw_at: Callable[[np.random.Generator, int, np.ndarray], np.ndarray] | None = None
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    rows: np.ndarray | None = None
    places: tuple[int, ...] = ()

    def to_model(self, rows: np.ndarray) -> np.ndarray:
        """Rows [..., c] as conditions of a network: float32 in model space, or the numbers of words, int32."""
        return rows.astype(np.int32) if self.standard is None else self.standard.to_model(rows).astype(np.float32)

    def scaled(self, by: float, shift: np.ndarray | float = 0.0) -> "Given":
        """The same given with points shift + by · x."""
        draw, draw_at, log_density = self.draw, self.draw_at, self.log_density

        def moved(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
            points, rows = draw(rng, n)
            return shift + by * points, rows

        return self._replace(
            draw=moved,
            draw_at=draw_at and (lambda rng, n, row: shift + by * draw_at(rng, n, row)),
            log_density=log_density
            and (lambda points, rows: log_density((points - shift) / by, rows) - points.shape[1] * np.log(by)),
        )


class GivenPart(NamedTuple):
    """Which part of a dataset another one is: the points of the whole, `of`, at a row [c]; told: the row in words.

    draw: draws of this part. distance: of a file the largest distance of a row that counts as near, in the standard
    deviations of the columns: 0 where the part has rows with exactly these values; None where draws are exact.
    """

    of: Dataset
    row: np.ndarray
    told: str
    draw: Draw
    distance: float | None

    @property
    def exactly(self) -> bool:
        """Whether the points are draws of p(x | row), and not of rows near it."""
        return not self.distance

    def holds(self, rows: np.ndarray) -> np.ndarray:
        """Which of these rows [n, c], as conditions, are near."""
        given = self.of.given
        if given is None:
            raise UsageError("nothing is given with these points")
        near: np.ndarray = _distance(rows, given.to_model(self.row)) <= (self.distance or 0.0)
        return near


def _distance(rows: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.abs(rows - row).max(axis=1)


def with_given(dataset: Dataset, row: np.ndarray, told: str) -> Dataset:
    """The Dataset of the points at one row [c], in the model space of the whole: exact draws of a built-in set.

    Of a file those of its rows that are nearest, one in 20 and 50 at least, or all that have exactly these values where
    they are more. Raises UsageError where nothing is given with the points, or no point has this row.

    >>> from diffuse_cli.datasets.two_moons import two_moons
    >>> with_given(two_moons(), np.array([0.0, 0.0]), "x1=0, x2=0").draw(np.random.default_rng(0), 5).shape
    (5, 2)
    """
    given = dataset.given
    if given is None:
        raise UsageError("nothing is given with these points")
    points, law, distance = None, None, None
    if given.draw_at is not None:
        draw_at, law = given.draw_at, given.exact and given.exact(row)

        def draw(rng: np.random.Generator, n: int) -> np.ndarray:
            return draw_at(rng, n, row)
    else:
        rows, whole = given.to_model(np.asarray(given.rows)), np.asarray(dataset.points)
        apart = _distance(rows, given.to_model(row))
        distance = float(np.sort(apart)[min(len(apart), max(_FEWEST, len(apart) // _NEAR)) - 1])
        points = near = whole[apart <= distance]
        if distance:
            _log.warning(f"no row has exactly {told}; the data beside it are the {len(near):,} rows nearest to it")

        def draw(rng: np.random.Generator, n: int) -> np.ndarray:
            return near[rng.integers(len(near), size=n)]

    return dataset._replace(
        draw=draw,
        points=points,
        exact=None if law is None else (lambda: law),
        given=None,
        part=GivenPart(dataset, row, told, draw, distance),
    )
