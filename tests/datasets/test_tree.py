import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.datasets.tree import tree
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level

N = 20_000


@pytest.mark.parametrize(("depth", "ratio", "std"), [(1, 0.5, 0.1), (3, 0.8, 0.05), (6, 0.7, 0.03)])
def test_not_spread_it_is_one_line_whose_moments_add_up(depth, ratio, std):
    """With angle 0 generation g is 2^g branches of length and thickness ratio^g, one over the other."""
    g = np.arange(depth + 1)
    mass = (2 * ratio**2) ** g / np.sum((2 * ratio**2) ** g)
    size = ratio**g
    middle = np.cumsum(size) - size / 2
    height = mass @ middle
    # a branch is four Gaussians of std 1/8 of it, at 1/8, 3/8, 5/8, 7/8 of it
    variance = [mass @ (std * size) ** 2, mass @ (middle**2 + size**2 * (5 / 64 + 1 / 64)) - height**2]
    dataset = tree(depth=depth, angle=0, ratio=ratio, std=std)
    np.testing.assert_allclose(dataset.standard.mean, [0, height], atol=1e-12)
    np.testing.assert_allclose(dataset.standard.scale**2, np.mean(variance))
    x = dataset.draw(np.random.default_rng(0), N)
    np.testing.assert_allclose(x.var(axis=0), variance, rtol=0.05)


def test_it_ends_in_as_many_twigs_as_it_should(x64):
    """At depth d there are 2^d tips, found by walking the turns ±angle from the top of the trunk."""
    depth, angle, ratio = 4, np.radians(40.0), 0.6
    tips, headings = np.array([1j]), np.array([0.0])
    for g in range(1, depth + 1):
        headings = np.concatenate([headings - angle, headings + angle])
        tips = np.concatenate([tips, tips]) + ratio**g * np.exp(1j * (np.pi / 2 - headings))
    dataset = tree(depth=depth, angle=40, ratio=ratio, std=0.05)
    x = dataset.draw(np.random.default_rng(0), 200_000) @ [1, 1j]
    length = ratio**depth
    on_twig = tips - length / 2 * np.exp(1j * (np.pi / 2 - headings))
    near = [np.mean(np.abs(x - place) < length / 2) for place in on_twig]
    assert len(near) == 16
    share = (2 * ratio**2) ** depth / np.sum((2 * ratio**2) ** np.arange(depth + 1)) / 16
    assert np.min(near) > 0.7 * share
    level = Level(jnp.inf, jnp.float64(1), jnp.float64(0))
    places = dataset.standard.to_model(np.stack([on_twig.real, on_twig.imag], axis=1))
    log_p = np.asarray(exact.log_prob(dataset.exact(), places, level))
    np.testing.assert_allclose(log_p, log_p[::-1], atol=1e-9)  # reversed: every turn to the other side


def test_the_classes_are_the_halves_of_the_crown():
    dataset = tree(angle=30, std=0.02)
    x, label = dataset.classes.draw(np.random.default_rng(0), N)
    side, height = x.T
    on_boughs = (height > 1.55) & (height < 2)  # above the trunk's end and below where the halves meet again
    np.testing.assert_array_equal(label[on_boughs], side[on_boughs] > 0)
    on_trunk = label[height < 0.8]
    assert abs(on_trunk.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(on_trunk))
