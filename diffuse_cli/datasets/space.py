"""Space: the map between data units and the coordinates in which a model works."""

from typing import Protocol

import numpy as np


class Space(Protocol):
    """Coordinates of a model for points in data units: standardised columns, or the latents of an autoencoder."""

    @property
    def dim(self) -> int:
        """The number of coordinates of the model."""

    @property
    def data_dim(self) -> int:
        """The number of columns of the data."""

    @property
    def log_volume(self) -> float | None:
        """log of the volume, in data units, of a unit of the model's coordinates: log p is lower by it in data units.

        None where a density of the model is none of the data, since the map has no inverse.
        """

    def to_model(self, x: np.ndarray) -> np.ndarray:
        """Points [n, data_dim] in data units -> [n, dim]."""

    def to_data(self, x: np.ndarray) -> np.ndarray:
        """Points [n, dim] of the model -> [n, data_dim] in data units."""
