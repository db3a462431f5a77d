"""The network and the denoiser made of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.diffusion.conditions import Conditions
from diffuse_cli.diffusion.process import Process, variance_exploding
from diffuse_cli.models import build
from diffuse_cli.networks.denoiser import answer, predictor
from diffuse_cli.networks.embeddings import FourierFeatures
from diffuse_cli.samplers.ddim import ddim
from diffuse_cli.samplers.grids import uniform_grid
from diffuse_cli.samplers.loop import run_steps, scan


def built(dim=2, **settings):
    made = build.build_experiment(config.make({"width": 16, "depth": 2, **settings}), dim)
    weights = build.initial_weights(made, jax.random.key(0))
    return made, jax.tree.map(lambda w: w + 0.1, weights)


def test_fourier_features_are_the_formula(x64):
    x = jnp.array([[0.3, -1.2]])
    got = FourierFeatures([0.5, 2.0])(x)
    angles = np.pi / 2 * np.array([0.3 * 0.5, 0.3 * 2, -1.2 * 0.5, -1.2 * 2])
    np.testing.assert_allclose(got[0], np.concatenate([[0.3, -1.2], np.sin(angles), np.cos(angles)]), atol=1e-12)
    assert got.shape[1] == FourierFeatures([0.5, 2.0]).width(2)


def test_features_under_noise_are_their_means(x64):
    """E f(x + s eps) over eps, by Gauss-Hermite quadrature."""
    x, variance = np.array([[0.3, -1.2], [0.7, 0.1]]), np.array([[0.5], [0.0]])
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    features = FourierFeatures([0.5, 2.0])
    got, each = jax.jit(lambda x, many: (features(x, variance), features(many)))(
        x, x + np.sqrt(variance) * nodes[:, None, None]
    )
    np.testing.assert_allclose(got, np.tensordot(weights / weights.sum(), each, 1), atol=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_shapes_and_an_untrained_network_answers_nothing(dim, depth):
    made = build.build_experiment(config.make({"width": 8, "depth": depth}), dim)
    weights = build.initial_weights(made, jax.random.key(0))
    level = made.process.level(jnp.full((5, 1), 0.3))
    got = answer(made.structure, weights)(jnp.ones((5, dim)), level)
    np.testing.assert_array_equal(got, np.zeros((5, dim)))


def test_width_and_depth_are_what_they_say():
    _, weights = built(width=24, depth=5)
    assert weights["first"]["kernel"].shape[1] == 24
    assert len(weights["hidden"]) == 4
    assert weights["last"]["kernel"].shape == (24, 2)


def test_it_sees_position_and_noise():
    made, weights = built()
    call = answer(made.structure, weights)
    x = jnp.array([[0.1, 0.2], [0.1, 0.3]])
    one, other = call(x, made.process.level(0.3)), call(x, made.process.level(0.6))
    assert not np.allclose(one[0], one[1])
    assert not np.allclose(one, other)


def test_a_level_for_all_and_a_level_each_agree():
    made, weights = built()
    x = jax.random.normal(jax.random.key(1), (7, 2))
    call = answer(made.structure, weights)
    np.testing.assert_allclose(
        call(x, made.process.level(0.4)), call(x, made.process.level(jnp.full((7, 1), 0.4))), rtol=1e-6
    )


def test_the_network_sees_unit_variance_under_every_scaling():
    """x of another scaling at the same log-SNR is the same x times a constant, and must get the same answer."""
    made, weights = built()
    call = answer(made.structure, weights)
    level, other = made.process.at(jnp.float32(1.0)), Process(None, 1, variance_exploding).at(jnp.float32(1.0))
    x = jax.random.normal(jax.random.key(1), (7, 2))
    np.testing.assert_allclose(call(x, level), call(x * other.sigma / level.sigma, other), rtol=1e-5, atol=1e-6)


def test_other_weights_of_one_structure_compile_nothing():
    made, weights = built()
    levels = uniform_grid()(made.process, 5)
    sampler, x = ddim(), jnp.ones((3, 2))
    run_steps(predictor(made.structure, weights, made.parameterization), sampler, levels, x, jax.random.key(0))
    before = scan._cache_size()
    other = jax.tree.map(lambda w: 2 * w, weights)
    run_steps(predictor(made.structure, other, made.parameterization), sampler, levels, x, jax.random.key(0))
    assert scan._cache_size() == before


LABELS = Conditions(("a", "b", "c"), (0.2, 0.3, 0.5))


def told(**settings):
    made = build.build_experiment(
        config.make({"width": 16, "depth": 2, "conditional": True, **settings}), 2, conditions=LABELS
    )
    return made, build.initial_weights(made, jax.random.key(0))


def test_an_unconditional_network_has_nothing_of_a_conditional_one():
    _, weights = built()
    assert set(weights) == {"first", "hidden", "last"}
    _, with_labels = told()
    assert set(with_labels) - set(weights) == {"label"}
    assert with_labels["label"]["vectors"].shape == (4, 16)
    for layer in weights:  # the weights of both are drawn alike
        jax.tree.map(lambda w, plain: np.testing.assert_array_equal(w + 0.1, plain), with_labels[layer], weights[layer])


def test_a_label_counts_as_much_as_it_has_been_learned_to():
    """Before training no label changes anything; then each has its own answer, and no label is one of its own."""
    made, weights = told()
    weights = {**weights, "last": jax.tree.map(lambda w: w + 0.1, weights["last"])}
    x, level = jax.random.normal(jax.random.key(1), (4, 2)), made.process.level(0.4)
    learned = {**weights, "label": {"vectors": jax.random.normal(jax.random.key(2), (4, 16))}}
    rows = np.array([0, 1, 2, -1], np.int32)
    plain, before, after, each = jax.jit(
        lambda: (
            answer(made.structure, weights)(x, level),
            answer(made.structure, weights, rows)(x, level),
            answer(made.structure, learned, rows)(x, level),
            [answer(made.structure, learned, jnp.int32(label))(x, level) for label in rows]
            + [answer(made.structure, learned)(x, level)],
        )
    )()
    np.testing.assert_array_equal(before, plain)
    np.testing.assert_allclose(after, [each[row][row] for row in range(4)], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(each[3], each[4], rtol=1e-6)
    assert min(np.abs(one - other).min() for i, one in enumerate(each[:4]) for other in each[:i]) > 1e-4


def test_labels_of_other_rows_are_refused():
    """One point alone would broadcast against the labels of all, and its first row would be taken for it."""
    made, weights = told()
    ask = answer(made.structure, weights, np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="3 conditions for 1 points"):
        ask(jnp.ones((1, 2)), made.process.level(0.4))
