"""The data of a run: points and labels to train on and to judge by, and the exact laws that they have."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset, Part, equal_rows, with_label
from diffuse_cli.datasets.given import GivenPart
from diffuse_cli.datasets.latent import Latent
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import Conditions, GivenColumn
from diffuse_cli.errors import UsageError

_TRAIN_SIZE = 1 << 17  # training points, unless the settings give another number
_HELD_OUT = 4096  # points, at most


class Split(NamedTuple):
    """The rows of a file, by their indices: those to train on, and those that are held out from training."""

    train: np.ndarray
    held_out: np.ndarray


def split_rows(config: Config, dataset: Dataset) -> Split:
    """The split of the rows of a user's file (`dataset.points`), the same for the same seed.

    A tenth of the rows is held out, at least one and at most 4096. Rows that are equal in single precision, in which
    networks compute, stay on one side: a copy of a training row is no new data. A group of equal rows that is larger
    than what is still to be held out is trained on; where no group is small enough, the smallest is held out.

    Raises UsageError if the Config asks for more training points than there are other rows, or if all rows are equal
    in single precision.
    """
    points = np.asarray(dataset.points)
    rows = len(points)
    wanted = max(1, min(_HELD_OUT, rows // 10))
    order = np.random.default_rng(config.seed).permutation(rows)
    group, sizes = equal_rows(np.asarray(dataset.standard.to_model(points), np.float32)[order])
    if len(sizes) == rows:
        held = np.arange(rows) < wanted
    elif len(sizes) == 1:
        raise UsageError(
            f"the {rows} rows of {config.dataset} are equal in single precision: there is nothing to learn"
        )
    else:
        held = _fill_up(sizes, wanted)[group]
    train, held_out = order[~held], order[held]
    size = config.train_size or len(train)
    if size > len(train):
        raise UsageError(f"train_size is {size}, but the file has {rows} rows, of which {len(held_out)} are held out")
    return Split(train[:size], held_out)


def _fill_up(sizes: np.ndarray, wanted: int) -> np.ndarray:
    """Which groups of these sizes are held out, in their order as long as they fit into `wanted` rows."""
    chosen, left = np.zeros(len(sizes), bool), wanted
    for number in np.flatnonzero(sizes <= wanted):
        if sizes[number] <= left:
            chosen[number], left = True, left - sizes[number]
        if not left:
            break
    if not chosen.any():
        chosen[np.argmin(sizes)] = True
    return chosen


class Data(NamedTuple):
    """Points in model space: those to train on, and those to evaluate on; where the data have them also their labels.

    train_given, held_out_given: what else is given with them, as conditions: columns in model space, or words.
    """

    train: Float[np.ndarray, "n d"]
    held_out: Float[np.ndarray, "m d"]
    train_labels: Int[np.ndarray, " n"] | None = None
    held_out_labels: Int[np.ndarray, " m"] | None = None
    train_given: Shaped[np.ndarray, "n c"] | None = None
    held_out_given: Shaped[np.ndarray, "m c"] | None = None


def draw_data(config: Config, dataset: Dataset) -> Data:
    """The training and held-out points of a run, the same for the same seed; of a part of its data those in this part.

    Raises UsageError like `split_rows`, and where no row of a part of a file is on one of the two sides.
    """
    if isinstance(dataset.part, Part):
        return _data_with_label(draw_data(config, dataset.part.of), dataset.part)
    if isinstance(dataset.part, GivenPart):
        return _data_near(config, dataset.part)
    if dataset.latent is not None:
        return _encoded_data(config, dataset, dataset.latent)
    drawn = _draw_rows(config, dataset)
    points = (np.asarray(dataset.standard.to_model(each), np.float32) for each in drawn.points)
    labels = (np.asarray(each, np.int32) for each in drawn.labels or ())
    data = Data(*points, *labels)
    if drawn.given is None or dataset.given is None:
        return data
    train, held_out = map(dataset.given.to_model, drawn.given)
    return data._replace(train_given=train, held_out_given=held_out)


def _encoded_data(config: Config, dataset: Dataset, latent: Latent) -> Data:
    """The encodings of the training and held-out points of a dataset, with their labels.

    Each point gives one latent drawn from q(z | x); of few rows each gives several, since they are the law to learn.
    """
    data, rng = draw_data(config, latent.of), np.random.default_rng((config.seed, 2))

    def encoded(x0: np.ndarray, labels: np.ndarray | None, most: int) -> tuple[np.ndarray, np.ndarray | None]:
        times = 1 if latent.of.points is None else max(1, most // len(x0))
        z = latent.draw(rng, latent.of.standard.to_data(np.tile(np.asarray(x0, np.float64), (times, 1))))
        return np.asarray(dataset.standard.to_model(z), np.float32), labels if labels is None else np.tile(
            labels, times
        )

    train, train_labels = encoded(data.train, data.train_labels, _TRAIN_SIZE // 2)
    held_out, held_out_labels = encoded(data.held_out, data.held_out_labels, 1)
    return Data(train, held_out, train_labels, held_out_labels)


class _Rows(NamedTuple):
    """Rows to train on and held-out ones, in data units: points, and labels and what else is given, if there is any."""

    points: tuple[np.ndarray, np.ndarray]
    labels: tuple[np.ndarray, np.ndarray] | None = None
    given: tuple[np.ndarray, np.ndarray] | None = None


def _draw_rows(config: Config, dataset: Dataset) -> _Rows:
    """The rows of a whole dataset."""
    if dataset.points is not None:
        sides = split_rows(config, dataset)

        def sides_of(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return rows[sides.train], rows[sides.held_out]

        given = None if dataset.given is None else dataset.given.rows
        return _Rows(
            sides_of(dataset.points),
            None if dataset.labels is None else sides_of(dataset.labels),
            None if given is None else sides_of(given),
        )
    rng = np.random.default_rng(config.seed)
    sizes = config.train_size or _TRAIN_SIZE, _HELD_OUT
    if dataset.given is not None:  # the same points as those of `draw`, as with classes
        points, given = zip(*(dataset.given.draw(rng, size) for size in sizes), strict=True)
        return _Rows(points, given=given)
    if dataset.classes is None:
        train, held_out = (dataset.draw(rng, size) for size in sizes)
        return _Rows((train, held_out))
    return _Rows(*zip(*(dataset.classes.draw(rng, size) for size in sizes), strict=True))


def _data_near(config: Config, part: GivenPart) -> Data:
    """Of a file, the rows of both sides that are near; else all points to train on, and draws of the part."""
    data = draw_data(config, part.of)
    if data.train_given is None or data.held_out_given is None or part.of.points is None:
        rng = np.random.default_rng((config.seed, 1))
        return Data(data.train, np.asarray(part.of.standard.to_model(part.draw(rng, _HELD_OUT)), np.float32))
    kept = Data(data.train[part.holds(data.train_given)], data.held_out[part.holds(data.held_out_given)])
    if not (len(kept.train) and len(kept.held_out)):
        side = "training" if len(kept.held_out) else "held-out"
        raise UsageError(f"none of the {side} rows has {part.told}, or is near it")
    return kept


def _data_with_label(data: Data, part: Part) -> Data:
    kept = Data(data.train[data.train_labels == part.label], data.held_out[data.held_out_labels == part.label])
    if part.of.points is not None and part.of.classes is not None and not (len(kept.train) and len(kept.held_out)):
        name, side = part.of.classes.label_names[part.label], "training" if len(kept.held_out) else "held-out"
        raise UsageError(
            f"none of the {side} rows has the label {name}; train with more of its rows, or another --seed"
        )
    return kept


def margin_for(rows: int) -> float:
    """How far beyond `rows` training points, in standard deviations, x0 may lie: 0 for as many as built-in sets draw.

    The extremes of n draws of a normal law lie at about √(2 log n) standard deviations. Those of few rows are widened
    to where the extremes of 131,072 rows would be: what a law has beyond its few rows is not cut off.

    >>> [round(margin_for(rows), 2) for rows in (27, 720, 131072, 10**6)]
    [2.29, 1.23, 0.0, 0.0]
    """
    there, here = (math.sqrt(2 * math.log(n)) for n in (_TRAIN_SIZE, rows))
    return max(0.0, there - here)


def law_of(config: Config, dataset: Dataset) -> exact.Law:
    """The exact law of a dataset in model space; for a user's file, the mixture on the points that are trained on.

    Raises UsageError for a dataset of a user's own code that has no density, and like `split_rows`.
    """
    if dataset.points is not None:
        return exact.mixture(draw_data(config, dataset).train, 0.0)
    if dataset.exact is None and isinstance(dataset.part, GivenPart):
        raise UsageError(
            f"p(x | {dataset.part.told}) of {config.dataset} has no exact denoiser: its density is known, but not with "
            "noise, since the prior cuts it off"
        )
    if dataset.exact is None:
        raise UsageError(f"{config.dataset} has no density (Dataset.exact is None), so it has no exact denoiser")
    return dataset.exact()


def law_name(dataset: Dataset) -> str:
    """The label of results of `law_of`: 'exact', or 'memorised' for a file, whose law is the mixture on its points."""
    return "exact" if dataset.points is None else "memorised"


def truth_of(dataset: Dataset) -> exact.Law | None:
    """The law that a network is compared with, model space; None where it is unknown, as for a user's file."""
    return None if dataset.exact is None else dataset.exact()


def told_of(config: Config, dataset: Dataset) -> Conditions | None:
    """What a model of a dataset can be told: its labels, given columns or words; None where it has none of them."""
    given = dataset.given
    if given is None:
        return labels_of(dataset)
    drawn = _draw_rows(config, dataset).given
    if given.standard is None or drawn is None:
        return Conditions(given.names, kind="words", places=given.places)
    ends = (end(drawn[0], axis=0).tolist() for end in (np.min, np.max))
    columns = zip(given.standard.mean.tolist(), given.standard.scale.tolist(), *ends, strict=True)
    return Conditions(given.names, kind="columns", columns=tuple(GivenColumn(*column) for column in columns))


def labels_of(dataset: Dataset) -> Conditions | None:
    """The labels of a dataset; None where it has none."""
    classes = dataset.classes
    return classes and Conditions(classes.label_names, tuple(classes.shares.tolist()))


def law_of_label(config: Config, dataset: Dataset, label: int) -> exact.Law:
    """The exact law of the points with a label, as `law_of` of the whole.

    Raises UsageError like that, and where there are no such points.
    """
    return law_of(config, with_label(dataset, label))
