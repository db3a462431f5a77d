"""The drinks against the lists of ingredients, and against a classifier by hand."""

import numpy as np
import pytest

from diffuse_cli.datasets.drinks import AMOUNTS, DRINKS, carries, drinks, ingredients_of, only_own
from diffuse_cli.diffusion.process import Level

N = 20_000
IN_ALL = {"high_fructose_corn_syrup", "carbon_dioxide", "flavouring"}
SWEETENED = {"citric_acid", "sodium_benzoate", "sucralose", "acesulfame_potassium"}
LISTS = {
    "cola": IN_ALL | {"white_sugar", "caramel_colour", "phosphoric_acid", "caffeine"},
    "sprite": IN_ALL | SWEETENED | {"white_sugar", "sodium_citrate"},
    "fanta": IN_ALL | SWEETENED | {"sunset_yellow", "tartrazine"},
}


def test_the_ingredients_are_those_of_the_lists():
    dataset = drinks()
    assert {name: set(ingredients_of(name)) for name in DRINKS} == LISTS
    assert dataset.dim == len(AMOUNTS) == 14
    assert dataset.column_names == tuple(AMOUNTS)
    assert dataset.classes.label_names == DRINKS == tuple(LISTS)


@pytest.mark.parametrize("label", range(3))
def test_a_drink_carries_its_own_ingredients_in_its_own_amounts(label):
    points, labels = drinks(spread=0.08, noise=0.02).classes.draw(np.random.default_rng(label), N)
    of_drink = points[labels == label]
    own = np.array([name in LISTS[DRINKS[label]] for name in AMOUNTS])
    assert (carries(of_drink) == own).mean() > 0.9999
    np.testing.assert_allclose(of_drink.mean(axis=0), [amounts[label] for amounts in AMOUNTS.values()], atol=0.01)
    np.testing.assert_allclose(of_drink.std(axis=0), np.where(own, 0.08, 0.02), rtol=0.05)


def test_a_drink_with_another_s_ingredient_is_not_its_own():
    points, labels = drinks().classes.draw(np.random.default_rng(0), 300)
    assert only_own(points, labels).all()
    assert not only_own(points, (labels + 1) % 3).any()  # each has something that no other has
    with_caffeine = points + 1.0 * (np.array(list(AMOUNTS)) == "caffeine")
    np.testing.assert_array_equal(only_own(with_caffeine, labels), labels == DRINKS.index("cola"))
    assert only_own(np.zeros((3, 14)), np.arange(3)).all()  # pure water


def test_drinks_that_are_apart_have_the_entropies_of_their_gaussians():
    """H = mean of H(x | c) + log 3, data units: 7, 9 and 9 columns with the spread and the rest with the noise."""
    dataset = drinks(spread=0.1, noise=0.05)
    clean = Level(np.inf, 1.0, 0.0)
    own = np.array([len(words) for words in LISTS.values()])
    each = own * np.log(0.1) + (14 - own) * np.log(0.05) + 7 * np.log(2 * np.pi * np.e)
    to_data = np.log(dataset.standard.scale).sum()
    np.testing.assert_allclose([dataset.classes.exact(c).entropy(clean) + to_data for c in range(3)], each)
    assert dataset.exact().entropy(clean) + to_data == pytest.approx(each.mean() + np.log(3), abs=1e-9)
