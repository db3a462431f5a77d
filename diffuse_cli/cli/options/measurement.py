"""What is measured: options that are handed over as `measuring`, a MeasurementOption."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from diffuse_cli.cli.options.column_values import ColumnValues, once_each
from diffuse_cli.cli.options.types import Command, Numbers, WholeNumber, grouped, option
from diffuse_cli.errors import DiffuseError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from diffuse_cli.inverse.measurement import Measurement
    from diffuse_cli.models.model import Model

_PLAIN_TEXT = (".csv", ".tsv", ".txt", ".dat", ".tab")
_Observed = tuple[tuple[tuple[str, float | None], ...], ...]
_Projected = tuple[tuple[tuple[float, ...], float | None], ...]


class MeasurementOption(NamedTuple):
    """What is measured, as it stands on the command line."""

    observe: dict[str, float | None]
    project: _Projected
    noisy: tuple[float, ...] | None
    mask: float | None
    blur: float | None
    random: int | None
    matrix: str | None
    function: str | None
    values: str | None
    signal: str | None
    noise: tuple[float, ...] | None

    @property
    def asked(self) -> bool:
        """Whether anything is measured."""
        return any(value not in (None, {}, ()) for value in self)

    def measurement(self, model: "Model", seed: int) -> "Measurement":
        """The measurement of a point of the model's data. Raises UsageError like `models.measuring.measure`."""
        from diffuse_cli.models.measuring import Asked, measure

        if self.noise is not None and min(self.noise) < 0:
            raise UsageError(f"--noise {min(self.noise):g}: a standard deviation is 0 or more")
        matrix = None if self.matrix is None else (_table(self.matrix, "--matrix", model.dim), Path(self.matrix).name)
        asked = Asked(
            self.observe,
            self.project,
            self.noisy,
            self.mask,
            self.blur,
            self.random,
            matrix,
            self.function,
            None if self.values is None else _numbers(self.values, "--values"),
            None if self.signal is None else _point(self.signal, model.dim),
            self.noise,
        )
        return measure(asked, model, seed)


class Projected(click.ParamType[tuple[tuple[float, ...], float | None]]):
    """A direction, one number for each column, and perhaps the value along it: 1,1=0.3."""

    name = "NUMBER,…=VALUE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[float, ...], float | None]:
        if isinstance(value, tuple):
            return value
        direction, equals, result = str(value).partition("=")
        numbers = Numbers().convert(direction, param, ctx)
        if not any(numbers):
            self.fail(f"{value!r}: the direction is 0 in all columns", param, ctx)
        if not equals:
            return numbers, None
        along = Numbers().convert(result, param, ctx)
        if len(along) > 1:
            self.fail(f"{value!r}: there is one value along a direction", param, ctx)
        return numbers, along[0]


def measurement_options(command: Command) -> Command:
    """What is measured, handed over as `measuring`, a MeasurementOption."""

    def gather(
        observe: _Observed,
        project: _Projected,
        noisy: tuple[float, ...] | None,
        mask: float | None,
        blur: float | None,
        random: int | None,
        matrix: str | None,
        function: str | None,
        values: str | None,
        signal: str | None,
        noise: tuple[float, ...] | None,
    ) -> MeasurementOption:
        columns = once_each(observe, "--observe")
        return MeasurementOption(columns, project, noisy, mask, blur, random, matrix, function, values, signal, noise)

    return grouped("measuring", gather, *_FLAGS)(command)


_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
_FLAGS = (
    option(
        "--observe",
        type=ColumnValues(optional=True),
        multiple=True,
        metavar="COLUMN[=VALUE],…",
        help="Columns that are measured, like x=0.5; without a value that of the signal.",
    ),
    option(
        "--project",
        type=Projected(),
        multiple=True,
        metavar="A,B,…[=VALUE]",
        help="A direction that is measured, a number for each column: 1,1=0.3 is x + y = 0.3. May be repeated.",
    ),
    option("--noisy", type=Numbers(), help="A point with noise, to denoise: 0.5,1.0."),
    option("--mask", type=_SHARE, metavar="SHARE", help="All columns but this share of them, chosen at random."),
    option(
        "--blur",
        type=click.FloatRange(0, 1000, min_open=True),
        metavar="WIDTH",
        help="Each column averaged with its neighbours, with Gaussian weights of this width in columns.",
    ),
    option("--random", type=WholeNumber(1, 4096), metavar="COUNT", help="So many random directions."),
    option("--matrix", metavar="FILE", help="Any matrix, a row for each measured value: .csv, .txt, .npy, …"),
    option(
        "--function",
        metavar="MODULE:NAME",
        help="Your own f(points [n, d]) -> [n, m] in data units, written with jax.numpy.",
    ),
    option("--values", metavar="NUMBER,…|FILE", help="What was measured, in place of the signal."),
    option("--signal", metavar="FILE", help="The point that is measured, its first row.  [default: a draw]"),
    option(
        "--noise",
        type=Numbers(),
        help="The standard deviation of the noise, one or one for each value, data units.  [default: 0; with "
        "--noisy, --blur and --function a twentieth of the scale of the data]",
    ),
)


def _numbers(text: str, flag: str) -> "np.ndarray":
    """Numbers with commas between them, or all those in a file."""
    import numpy as np

    try:
        return np.array(Numbers().convert(text, None, None))
    except click.BadParameter:
        return _table(text, flag).reshape(-1)


def _point(text: str, width: int) -> "np.ndarray":
    """The first row of a file; of one with a single column as many numbers as there should be, all of it."""
    points = _table(text, "--signal", width)
    return points[:, 0] if points.shape == (width, 1) else points[0]


def _table(text: str, flag: str, width: int | None = None) -> "np.ndarray":
    """The numbers [rows, columns] in a file, in the grammar of the dataset `file`.

    width: how many columns there should be. A few rows of whole numbers, like 1,0, can be read as names, or with a
    decimal comma; then this decides it.
    """
    from diffuse_cli import catalog
    from diffuse_cli.datasets.files.options import ReadOptions
    from diffuse_cli.datasets.files.points import read_points

    asked = catalog.convert_options(catalog.parse("dataset", f"file:{text}"))
    suffix = Path(asked["path"]).suffix.lower()
    if suffix not in (".npy", ".npz") and "columns" not in asked:
        asked = {"index": "yes"} | asked  # a first column that numbers the rows is one like the others here
    if suffix not in _PLAIN_TEXT or "delimiter" in asked or width is None:
        return read_points(ReadOptions(**asked, flag=flag))[0]
    for delimiter in ("comma", "space", "semicolon", "tab"):
        try:
            options = {"delimiter": delimiter, "decimal": "point", "header": "no"} | asked
            points = read_points(ReadOptions(**options, flag=flag))[0]
        except DiffuseError:
            continue
        if points.shape[1] == width:
            return points
    return read_points(ReadOptions(**asked, flag=flag))[0]
