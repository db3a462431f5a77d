"""The field of drifting: its formula, where it is zero, and what a network becomes that follows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from diffuse_cli import catalog, config
from diffuse_cli.diffusion.drift import drift_field
from diffuse_cli.diffusion.map_losses import Lesson, Span, span_losses
from diffuse_cli.errors import UsageError
from diffuse_cli.metrics.pairwise import energy
from diffuse_cli.models import build
from diffuse_cli.networks.denoiser import average_velocity
from diffuse_cli.training import loop

TAU, SHIFT = 0.5, np.array([0.6, -0.3], np.float32)
FIELD = jax.jit(drift_field)


def normal(seed, n=12):
    return np.random.default_rng(seed).standard_normal((n, 2)).astype(np.float32)


def field_of(x, data, tau=TAU, others=None):
    """The field at numpy points."""
    x, data, others = jax.tree.map(jnp.asarray, (x, data, others))
    return np.asarray(FIELD(x, data, tau, others=others))


def by_loops(x, data, others, tau, *, themselves):
    """The definition, term by term: V_i = sum_jk A_ij A_ik (data_j - others_k)."""
    kernel = np.exp(-cdist(x, np.concatenate([data, others])) / tau)
    if themselves:
        for i in range(len(x)):
            kernel[i, len(data) + i] = 0
    a = kernel / np.sqrt(kernel.sum(axis=0)[None] * kernel.sum(axis=1)[:, None])
    field = np.zeros_like(x)
    for i in range(len(x)):
        for j, attracting in enumerate(data):
            for k, repelling in enumerate(others):
                field[i] += a[i, j] * a[i, len(data) + k] * (attracting - repelling)
    return field


def test_the_field_is_its_definition():
    x, data, others = normal(0, 7).astype(float), normal(1, 5).astype(float), normal(2, 6).astype(float)
    with jax.enable_x64(True):
        alone, against = field_of(x, data), field_of(x, data, others=others)
    np.testing.assert_allclose(alone, by_loops(x, data, x, TAU, themselves=True), atol=1e-12)
    np.testing.assert_allclose(against, by_loops(x, data, others, TAU, themselves=False), atol=1e-12)


def test_where_data_and_others_change_places_the_field_changes_its_sign():
    x, data, others = normal(0), normal(1) + SHIFT, normal(2)
    field = field_of(x, data, others=others)
    assert np.abs(field).max() > 0.05
    np.testing.assert_allclose(field_of(x, others, others=data), -field, atol=1e-6)


def test_the_field_knows_no_place_direction_unit_or_order():
    x, data = normal(0), normal(1) + SHIFT
    field = field_of(x, data)
    cos, sin = np.cos(0.7), np.sin(0.7)
    turn, order = np.array([[cos, -sin], [sin, cos]], np.float32), np.random.default_rng(0).permutation(len(x))
    np.testing.assert_allclose(field_of(x + 3, data + 3), field, atol=1e-5)
    np.testing.assert_allclose(field_of(x @ turn, data @ turn), field @ turn, atol=1e-5)
    np.testing.assert_allclose(field_of(5 * x, 5 * data, 5 * TAU), 5 * field, atol=1e-5)
    np.testing.assert_allclose(field_of(x[order], data[::-1]), field[order], atol=1e-5)


def test_data_that_occur_twice_change_only_the_length_of_the_field():
    x, data = normal(0), normal(1) + SHIFT
    once, twice = field_of(x, data), field_of(x, np.concatenate([data, data]))
    along = np.sum(once * twice, axis=1) / np.linalg.norm(once, axis=1) / np.linalg.norm(twice, axis=1)
    np.testing.assert_allclose(along, 1, atol=1e-5)


def test_a_lone_point_and_one_far_away_have_a_finite_field():
    assert (field_of(normal(0, 1), normal(1)) == 0).all()
    far = normal(0)
    far[0] = 1e3  # many hundred times tau from all others: every kernel underflows
    assert np.isfinite(field_of(far, normal(1))).all()


def moments(seed, shift):
    """The mean over 256 generated points of V, of V·x, and of V·x |x|^2, for data of the same law moved by `shift`."""
    keys = jax.random.split(jax.random.key(seed))
    x, data = (jax.random.normal(key, (256, 2)) for key in keys)
    field = drift_field(x, data + shift, TAU)
    along = jnp.sum(field * x, axis=1)
    return jnp.concatenate([jnp.mean(field, axis=0), jnp.array([jnp.mean(along), jnp.mean(along * jnp.sum(x**2, 1))])])


def test_the_field_is_zero_where_the_laws_are_equal_and_points_to_data_that_were_moved():
    """In the mean over draws of 256 points: a shift, a stretch and a change of shape would each be seen in a moment."""
    repeats = jax.jit(lambda shift: jax.lax.map(lambda seed: moments(seed, shift), jnp.arange(64)))
    for shift, found in ((np.zeros(2, np.float32), False), (SHIFT, True)):
        means = np.asarray(repeats(shift))
        errors = means.mean(axis=0) / (means.std(axis=0, ddof=1) / np.sqrt(len(means)))
        if found:
            assert (errors[:2] * np.sign(shift) > 10).all(), errors
        else:
            assert (np.abs(errors) < 4).all(), errors


@pytest.mark.parametrize("together", [256, 6])
def test_the_gradient_moves_generated_points_by_the_field_and_by_nothing_else(together):
    """Of a generator eps - theta it is 2/d times the mean of V / rms(V): more theta moves points back.

    16 points that push each other in sixes at most are three parts of 6, and the last begins with the first again.
    """
    loss = catalog.build("loss", f"drift:{TAU},together={together}")
    eps, x0 = normal(0, 16), normal(1, 16)
    t, r = loss.spans(jax.random.key(0), 16, jnp.float32(0.5))
    span = Span((1 - t) * x0 + t * eps, 0 * eps, t, r, jnp.asarray(x0))
    lesson = Lesson(lambda x, t: x, False, lambda x, t, r: x, jax.random.key(0), jnp.float32(0.5))
    theta = np.array([0.3, 0.1], np.float32)
    mean = lambda theta: jnp.mean(span_losses(loss, lambda x, t, r: 0 * x + theta, span, lesson))  # noqa: E731
    value, gradient = jax.jit(jax.value_and_grad(mean))(theta)
    if together == 256:
        field = field_of(eps - theta, x0[:8])
    else:
        parts = [np.arange(6), np.arange(6, 12), np.array([12, 13, 14, 15, 0, 1])]
        field = np.concatenate([field_of(eps[rows] - theta, x0[rows[:3]]) for rows in parts])[:16]
    rms = np.sqrt(np.mean(field**2))
    np.testing.assert_allclose(gradient, np.mean(field, axis=0) / rms, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(value, rms, rtol=1e-4)


def built(**settings):
    return build.build_experiment(config.make({"loss": "drift", "dataset": "moons", **settings}), 2)


def test_its_runs_are_sampled_from_in_one_jump():
    made, other = built().config, built(sampler_steps=2).config
    assert (made.sampler, made.sampler_steps, other.sampler_steps) == ("jump", 1, 2)


@pytest.mark.parametrize(
    ("settings", "said"), [({"conditional": True}, "leave out --conditional"), ({"teacher": "runs/t"}, "--loss drift")]
)
def test_what_it_cannot_learn_from_is_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        built(**settings)


def test_a_short_training_brings_the_generated_points_to_the_data():
    made = built(width=32, depth=2, batch_size=256, warmup=0)
    dataset = build.build_dataset(made.config)
    drawn = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), 4000)).astype(np.float32)
    noise, one = normal(3, 2000), np.ones((2000, 1), np.float32)
    generate = jax.jit(lambda weights: noise - average_velocity(made.structure, weights)(noise, one, 0 * one))
    state, distance = loop.initial_state(made), energy()
    before = distance(np.asarray(generate(state.weights), float), drawn[2000:].astype(float))
    for progress in loop.fit(made, state, loop.Points(jnp.asarray(drawn[:2000])), total=200):
        state = progress.state
    after = distance(np.asarray(generate(state.weights), float), drawn[2000:].astype(float))
    assert after < before / 2
