"""Dataset: a law that can be sampled, and the constants of its standardisation, data = mean + scale · model."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, get_args

import numpy as np
from msgspec import Meta

from diffuse_cli.config import ALL
from diffuse_cli.errors import UsageError, unknown

if TYPE_CHECKING:
    from diffuse_cli.datasets.given import Given, GivenPart
    from diffuse_cli.datasets.latent import Latent
    from diffuse_cli.diffusion.exact import Law
    from diffuse_cli.diffusion.grid_law import GridLaw

Scale = Annotated[float, Meta(gt=0, le=1000)]

View = Literal["points", "curves", "images"]
VIEWS: tuple[str, ...] = get_args(View)

Draw = Callable[[np.random.Generator, int], np.ndarray]  # (rng, n) -> [n, d] independent draws, data units
LabelledDraw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]  # … -> ([n, d], labels [n])


def as_points(view: str) -> str:
    """The view of figures that follow each sample as a point: pictures are drawn on principal axes there.

    >>> as_points("images"), as_points("curves")
    ('points', 'curves')
    """
    return "points" if view == "images" else view


class Standardiser(NamedTuple):
    """data = mean + scale · model, column by column. `mean` and `scale` are [d], in data units.

    >>> Standardiser(mean=np.array([1.0, 2.0]), scale=np.array([2.0, 2.0])).to_data(np.ones(2))
    array([3., 4.])
    """

    mean: np.ndarray
    scale: np.ndarray

    def to_model(self, x: np.ndarray) -> np.ndarray:
        """Points [..., d] from data units to model space, where their variance is about 1."""
        return (x - self.mean) / self.scale

    def to_data(self, x: np.ndarray) -> np.ndarray:
        """Points [..., d] from model space back to data units."""
        return self.mean + self.scale * x

    @property
    def dim(self) -> int:
        """The number of columns."""
        return len(self.mean)

    @property
    def data_dim(self) -> int:
        """The same number: each coordinate of a model is one column."""
        return len(self.mean)

    @property
    def log_volume(self) -> float:
        """log of the volume, in data units, of a unit of model space: log p in data units is lower by this."""
        return float(np.log(self.scale).sum())

    def agrees_with(self, other: "Standardiser") -> bool:
        """Whether points have the same coordinates in the model space of both, up to rounding.

        >>> one = Standardiser(np.zeros(2), np.ones(2))
        >>> one.agrees_with(one), one.agrees_with(Standardiser(np.zeros(1), np.ones(1)))
        (True, False)
        """
        same_columns = len(self.mean) == len(other.mean)
        return same_columns and all(np.allclose(a, b, rtol=1e-6) for a, b in zip(self, other, strict=True))


class Classes(NamedTuple):
    """The classes of a law that is a mixture, with labels 0, …, k − 1.

    shares: [k], the probability of each class; they sum to 1.
    draw: (rng, n) -> (points [n, d] in data units, labels [n], integers). `Dataset.draw` gives the same points without
        labels.
    exact: label -> the law of that class, in the model space of the dataset: p(x) = Σ shares[c] p(x | c). None where it
        is unknown, as for a user's file.
    names: the text [k] of each label; None where they are only numbers.
    """

    shares: np.ndarray
    draw: LabelledDraw
    exact: Callable[[int], "Law"] | None
    names: tuple[str, ...] | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The text of each label: its name, or its number."""
        return self.names or tuple(map(str, range(len(self.shares))))


class Dataset(NamedTuple):
    """A law on R^d.

    draw: (rng, n) -> [n, d] independent draws, float64, data units.
    dim: d.
    standard: the constants of standardisation. They are computed from the law, not from one training set, so that runs
        with other seeds and sizes share one model space and their likelihoods can be compared.
    view: how figures show samples: as points with d columns, each as one curve, a vector of d values, or each as a
        square picture of d pixels, row by row.
    points: the points [n, d] of a user's file; None for a law that can be drawn from without limit.
    exact: () -> the Law (diffusion/exact.py) in model space: its density at every noise level. None where the density
        is unknown; the exact denoiser of a file is that of the mixture on its training points (models.data.law_of).
    classes: the classes of a law that is a mixture; None for a law without classes.
    columns: the names of the d columns as the user's file has them; None where they have none.
    origin: what was read from a user's file, in one line.
    labels: [n], the label of each of `points`, 0, 1, …, where `label=` names a column of the file.
    part: which part of another dataset this is; None for a whole dataset.
    grid: () -> the law on a grid (diffusion/grid_law.py), model space, of which `exact` is a close approximation; None
        where `exact` is the law itself.
    log_z: () -> the log of the mass of a tilted law or a product before it was normalised; None for all others.
    given: what is given with each point besides: values of columns, or words; None where nothing is.
    latent: of the encodings of another dataset, which one and by what; None for all others.
    inner: points [n, d] in data units -> their places on the curve or sheet that the data lie near [n, k], as lengths
        along it in data units, the longer one first; None where the data lie near none.
    """

    draw: Draw
    dim: int
    standard: Standardiser
    view: View = "points"
    points: np.ndarray | None = None
    exact: Callable[[], "Law"] | None = None
    classes: Classes | None = None
    columns: tuple[str, ...] | None = None
    origin: str | None = None
    labels: np.ndarray | None = None
    part: "Part | GivenPart | None" = None
    given: "Given | None" = None
    grid: Callable[[], "GridLaw"] | None = None
    log_z: Callable[[], float] | None = None
    latent: "Latent | None" = None
    inner: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names [d] of the columns, for figures and files."""
        return self.columns or default_column_names(self.dim)


class Part(NamedTuple):
    """Which part of a dataset another one is: the points of the whole, `of`, with this label."""

    of: Dataset
    label: int


def with_label(dataset: Dataset, label: int) -> Dataset:
    """The Dataset of the points with one label, in the model space of the whole; it has no classes.

    Raises UsageError for a dataset without classes, or a label that no point has.

    >>> from diffuse_cli.datasets.gaussians import bimodal
    >>> bool((with_label(bimodal(), 1).draw(np.random.default_rng(0), 5) > 0).all())
    True
    """
    classes = dataset.classes
    if classes is None or not classes.shares[label] > 0:
        raise UsageError(
            "the data have no labels" if classes is None else f"no point has the label {classes.label_names[label]}"
        )
    points = None if dataset.points is None else dataset.points[dataset.labels == label]

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        if points is not None:
            return points[rng.integers(len(points), size=n)]
        kept: list[np.ndarray] = []
        while (missing := n - sum(map(len, kept))) > 0:
            drawn, labels = classes.draw(rng, int(1.1 * missing / classes.shares[label]) + 16)
            kept.append(drawn[labels == label][:missing])
        return np.concatenate(kept)

    exact = classes.exact
    return dataset._replace(
        draw=draw,
        points=points,
        exact=exact and (lambda: exact(label)),
        classes=None,
        labels=None,
        part=Part(dataset, label),
    )


def parts_of(dataset: Dataset, label: str | None) -> dict[str | None, Dataset]:
    """What `--label` asks for: the points with the label of this name; with "all" those with each; with None the whole.

    By the name of the label. Raises UsageError for an unknown label, or data without labels.
    """
    if label is None:
        return {None: dataset}
    if dataset.classes is None:
        raise UsageError(
            "these data have no labels, so no --label; moons, overlap and text:HELLO are sets that have some"
        )
    names = dataset.classes.label_names
    if label not in (*names, ALL):
        raise unknown("label", label, names)
    chosen = [name for name, share in zip(names, dataset.classes.shares, strict=True) if share > 0]
    chosen = chosen if label == ALL else [label]
    return {name: with_label(dataset, names.index(name)) for name in chosen}


def default_column_names(dim: int) -> tuple[str, ...]:
    """The names of columns that have none.

    >>> default_column_names(2), default_column_names(4)
    (('x', 'y'), ('x0', 'x1', 'x2', 'x3'))
    """
    return tuple("xyz"[:dim]) if dim <= 3 else tuple(f"x{i}" for i in range(dim))


def standardise(points: np.ndarray, *, per_column: bool, weights: np.ndarray | None = None) -> Standardiser:
    """The constants that give `points` [n, d], with `weights` [n] (equal unless given), zero mean and unit variance.

    With one scale for all columns, angles are preserved and round noise stays round. `per_column` gives each column its
    own scale, for columns in different units; then no column may be constant.

    >>> standardise(np.array([[0.0, 0.0], [2.0, 4.0]]), per_column=True).scale
    array([1., 2.])
    """
    mean = np.average(points, axis=0, weights=weights)
    variance = np.average((points - mean) ** 2, axis=0, weights=weights)
    return Standardiser(mean, np.sqrt(variance if per_column else np.full(points.shape[1], variance.mean())))


def law(draw: Draw, *, view: View = "points") -> Dataset:
    """A Dataset from its draw function, standardised by the moments of one fixed draw of 65,536 points.

    >>> ring = law(lambda rng, n: np.exp(2j * np.pi * rng.random(n)).view(float).reshape(n, 2))
    >>> ring.dim, ring.standard.scale.round(2)
    (2, array([0.71, 0.71]))
    """
    reference = draw(np.random.default_rng(0), 1 << 16)
    return Dataset(draw, reference.shape[1], standardise(reference, per_column=False), view)


def labelled(classes: Classes, standard: Standardiser, exact: Callable[[], "Law"]) -> Dataset:
    """The Dataset of a law that is a mixture of classes; `exact` makes the law of the whole."""
    return Dataset(lambda rng, n: classes.draw(rng, n)[0], len(standard.mean), standard, exact=exact, classes=classes)


def named(dataset: Dataset, *names: str) -> Dataset:
    """The Dataset with these names for its labels, in their order."""
    return dataset._replace(classes=dataset.classes and dataset.classes._replace(names=names))


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """The names, the second of equal ones with a 2 behind it, the third with a 3.

    >>> numbered("HELLO")
    ('H', 'E', 'L', 'L2', 'O')
    """
    counts = [list(names[: place + 1]).count(name) for place, name in enumerate(names)]
    return tuple(name if count == 1 else f"{name}{count}" for name, count in zip(names, counts, strict=True))


def equal_rows(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of the group of equal rows to which each row of points [n, d] belongs, and the sizes of these groups.

    Groups are numbered in the order of their first rows.

    >>> group, sizes = equal_rows(np.array([[5.0], [1.0], [5.0]]))
    >>> group.tolist(), sizes.tolist()
    ([0, 1, 0], [2, 1])
    """
    order = np.lexsort(points.T)
    new = np.append(True, (np.diff(points[order], axis=0) != 0).any(axis=1))
    first, sorted_group = order[new], np.cumsum(new) - 1  # lexsort is stable: the first of a group is its first row
    number = np.argsort(np.argsort(first))
    group = np.empty(len(points), int)
    group[order] = number[sorted_group]
    return group, np.bincount(group)


def scaled(dataset: Dataset, by: float, shift: np.ndarray | float = 0.0) -> Dataset:
    """The Dataset of shift + by · x, for x drawn from `dataset`; in model space it is the same law."""

    def moved(x):
        return shift + by * x

    def draw_labelled(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        points, labels = dataset.classes.draw(rng, n)
        return moved(points), labels

    inner = dataset.inner
    return dataset._replace(
        draw=lambda rng, n: moved(dataset.draw(rng, n)),
        standard=Standardiser(moved(dataset.standard.mean), by * dataset.standard.scale),
        points=None if dataset.points is None else moved(dataset.points),
        classes=dataset.classes and dataset.classes._replace(draw=draw_labelled),
        given=dataset.given and dataset.given.scaled(by, shift),
        inner=inner and (lambda x: by * inner((x - shift) / by)),
    )
