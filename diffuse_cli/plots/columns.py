"""What a figure must know of its axes: the names of the columns of a sample, and the units in which they are drawn."""

from typing import Literal, NamedTuple

from diffuse_cli.datasets.dataset import default_column_names
from diffuse_cli.errors import UsageError

Units = Literal["data", "model", "latent"]


class Columns(NamedTuple):
    """The names [d] of the columns that a figure shows, and the units in which it shows them.

    >>> Columns(("age", "salary"), "data").of_axes("plane")
    ('age', 'salary')
    >>> Columns(("a", "b", "c", "d"), "model").of_axes("projected")
    ('PC 1', 'PC 2')
    """

    names: tuple[str, ...]
    units: Units

    def of_axes(self, kind: str) -> tuple[str, ...]:
        """The names of the axes on which samples are measured, for a kind as `plots.panels.kind_of` gives it: columns,
        principal coordinates, or the value of a curve."""
        return {"projected": ("PC 1", "PC 2"), "curves": ("x(u)",)}.get(kind, self.names)

    def unit(self, kind: str = "plane") -> str:
        """The unit of these axes. Principal coordinates of columns in data units, which may be different units, are
        those of columns in standard deviations."""
        return "standard deviations" if (kind, self.units) == ("projected", "data") else f"{self.units} units"


def columns_of(dim: int, columns: Columns | None, units: Units) -> Columns:
    """The `columns` of samples of `dim` values, by default those of samples without names in these units.

    Raises UsageError where there are more or fewer names than values.
    """
    if columns is None:
        return Columns(default_column_names(dim), units)
    if len(columns.names) != dim:
        raise UsageError(f"there are {len(columns.names)} names of columns for samples of {dim} values.")
    return columns
