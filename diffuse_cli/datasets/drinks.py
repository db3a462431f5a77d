"""Three drinks as amounts of ingredients: cola, sprite and fanta, by the lists of ingredients on their labels.

The lists have 15 ingredients together. Water is in all three and fills up the rest of each litre, so that it has no
amount of its own: 14 columns remain. The lists give no amounts; those here are invented. They are in servings: 1 is the
amount of an ingredient that is usual in such drinks.
"""

from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, named
from diffuse_cli.datasets.gaussian_mixture import gaussian_mixture

DRINKS = ("cola", "sprite", "fanta")

#                               cola  sprite  fanta, in servings; 0: the drink is made without it
AMOUNTS = {
    "high_fructose_corn_syrup": (1.0, 0.9, 1.1),
    "white_sugar":              (1.0, 1.1, 0.0),
    "carbon_dioxide":           (1.1, 1.0, 0.9),
    "caramel_colour":           (1.0, 0.0, 0.0),
    "phosphoric_acid":          (1.0, 0.0, 0.0),
    "caffeine":                 (1.0, 0.0, 0.0),
    "citric_acid":              (0.0, 1.1, 0.9),
    "sodium_citrate":           (0.0, 1.0, 0.0),
    "sodium_benzoate":          (0.0, 1.0, 1.0),
    "sucralose":                (0.0, 0.9, 1.1),
    "acesulfame_potassium":     (0.0, 1.1, 0.9),
    "sunset_yellow":            (0.0, 0.0, 1.0),
    "tartrazine":               (0.0, 0.0, 1.0),
    "flavouring":               (1.0, 1.0, 1.0),
}  # fmt: skip

CARRIED = 0.5  # servings; a drink carries an ingredient if it has more of it: half of what is usual


def drinks(
    *, spread: Annotated[float, Meta(gt=0, le=0.3)] = 0.1, noise: Annotated[float, Meta(gt=0, le=0.3)] = 0.05
) -> Dataset:
    """Cola (0), sprite (1) and fanta (2), a third each: the amounts of 14 ingredients, which are the columns.

        x ~ N(m, diag s²),   m the amounts of the drink;   s = spread where m > 0, else noise

    in servings: 1 is the amount of an ingredient that is usual. `spread` is how much one bottle differs from another,
    and `noise` lets what a drink is made without have a density too, about 0. Draws are [n, 14].

    >>> points, labels = drinks().classes.draw(np.random.default_rng(0), 1000)
    >>> bool(only_own(points, labels).all())
    True
    """
    means = np.array(list(AMOUNTS.values())).T
    stds = np.where(means > 0, spread, noise)
    covariances = np.stack([np.diag(std**2) for std in stds])
    mixture = gaussian_mixture(means, covariances, np.arange(len(DRINKS)))
    return named(mixture, *DRINKS)._replace(columns=tuple(AMOUNTS))


def ingredients_of(drink: str) -> tuple[str, ...]:
    """The ingredients, water aside, that a drink is made of.

    >>> ingredients_of("cola")[1:4]
    ('white_sugar', 'carbon_dioxide', 'caramel_colour')
    """
    label = DRINKS.index(drink)
    return tuple(name for name, amounts in AMOUNTS.items() if amounts[label] > 0)


def carries(points: np.ndarray) -> np.ndarray:
    """Which ingredients each drink of points [n, 14] (servings) carries: more than half of the usual amount; [n, 14].

    >>> carries(np.array([[1.0] * 8 + [0.1] * 6])).sum()
    np.int64(8)
    """
    return points > CARRIED


def only_own(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which of points [n, 14] (servings) carry no ingredient but those of their drink; labels [n]: 0, 1, 2; [n]."""
    own = np.array(list(AMOUNTS.values())).T > 0
    return ~(carries(points) & ~own[labels]).any(axis=1)
