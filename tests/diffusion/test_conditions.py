"""Labels as conditions: their proportions, leaving them out, and choosing among denoisers by them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import NO_LABEL, Conditions, chosen_from, drop
from diffuse_cli.diffusion.process import Level


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.1, 0.7, 0.2), (0.0, 1.0), tuple(np.full(7, 1 / 7))])
def test_rows_have_the_true_proportions_also_among_the_first(shares):
    conditions = Conditions(tuple(map(str, range(len(shares)))), shares)
    for n in (1, 10, 1000):
        labels = conditions.rows(n)
        counts = np.bincount(labels, minlength=len(shares))
        assert len(labels) == n
        assert (np.abs(counts - n * np.array(shares)) < 1).all()
    first = np.bincount(conditions.rows(1000)[:100], minlength=len(shares))
    assert (np.abs(first - 100 * np.array(shares)) < 2).all()


def test_labels_are_left_out_as_often_as_asked():
    labels = jnp.arange(20_000, dtype=jnp.int32) % 3
    for probability in (0.0, 0.3):
        left = np.asarray(drop(jax.random.key(0), labels, probability))
        kept = left != NO_LABEL
        np.testing.assert_array_equal(left[kept], np.asarray(labels)[kept])
        assert abs((~kept).mean() - probability) <= 5 * np.sqrt(probability * (1 - probability) / len(left))


def test_each_row_gets_the_denoiser_of_its_label():
    laws = [exact.gaussian(np.full(2, mean), std**2 * np.eye(2)) for mean, std in ((0.0, 1.0), (3.0, 0.5), (-2.0, 0.2))]
    parts = [jax.tree_util.Partial(exact.denoiser(law)) for law in laws]
    x, level = jax.random.normal(jax.random.key(0), (6, 2)), Level(*map(jnp.float32, (0.0, 0.5**0.5, 0.5**0.5)))
    labels = np.array([0, 1, NO_LABEL, 1, 0, NO_LABEL], np.int32)
    got, each = jax.jit(lambda x, labels: (chosen_from(parts)(labels)(x, level), [part(x, level) for part in parts]))(
        x, labels
    )
    for name in ("x0", "eps"):
        of_parts = np.stack([getattr(part, name) for part in each])
        np.testing.assert_array_equal(getattr(got, name), of_parts[labels, np.arange(6)])
