"""Measurements that the tests of methods for inverse problems share, and what of a method cannot be asked of all."""

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import observe

METHODS = list(catalog.CATALOG["posterior"])
PLAIN = Standardiser(np.zeros(2), np.ones(2))  # data units are those of model space
# How far from y = x the samples may be when x is measured with next to no noise, before they are moved there; dps
# knows no noise, and its last steps are as long as the first ones.
NEAR_Y = {"dps": 0.3}


def once(name):
    """The method as text, without the options by which it does a step more than once."""
    return f"{name}:rounds=1" if "rounds" in catalog.options_of(catalog.factory(catalog.parse("posterior", name))) else name


def measured(matrix, std, values, standard=PLAIN, function=None):
    """An Observed of values in data units."""
    matrix = None if matrix is None else np.atleast_2d(np.asarray(matrix, float))
    values = np.atleast_1d(np.asarray(values, float))
    std = np.broadcast_to(np.asarray(std, float), values.shape).copy()
    return observe(Measurement("y", matrix, std, values, function), standard)
