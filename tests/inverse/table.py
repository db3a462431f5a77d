"""Measurements that the tests of methods for inverse problems share, and what of a method cannot be asked of all."""

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import observe

METHODS = list(catalog.CATALOG["posterior"])
PLAIN = Standardiser(np.zeros(2), np.ones(2))  # data units are those of model space
# How far from y = x samples may lie when x is measured with next to no noise, before they are moved there. The last
# steps of dps are as long as the first ones, zeta, and the distance r becomes |r - zeta| over and over.
NEAR_Y, NEAR_Y_BY_DPS = 0.05, 1.05


def once(name):
    """The method as text, without the options by which it does a step more than once."""
    return (
        f"{name}:rounds=1"
        if "rounds" in catalog.options_of(catalog.factory(catalog.parse("posterior", name)))
        else name
    )


def measured(matrix, std, values, standard=PLAIN, function=None):
    """An Observed of values in data units."""
    matrix = None if matrix is None else np.atleast_2d(np.asarray(matrix, float))
    values = np.atleast_1d(np.asarray(values, float))
    std = np.broadcast_to(np.asarray(std, float), values.shape).copy()
    return observe(Measurement("y", matrix, std, values, function), standard)
