"""Every loss of a flow map teaches a small network the exact map: its true loss falls."""

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.analysis import exact_maps, loss_check
from diffuse_cli.diffusion.map_losses import split_rows
from diffuse_cli.models import build
from diffuse_cli.networks.denoiser import average_velocity
from diffuse_cli.training import loop
from diffuse_cli.training.batches import DONE, draw_batch
from diffuse_cli.training.map_batches import map_batch_losses
from tests.support.cases import few_fast

TRUTH = exact_maps.gaussian()
ROWS = 2000
SLOWLY = {"consistency": 0.8}  # what is left of the true loss at most: the noise of its pairs is in its target


def built(name, **settings):
    made = config.make({"loss": name, "width": 16, "depth": 2, "batch_size": 64, "warmup": 0, "lr": 3e-3, **settings})
    loss = build.build_loss(made, build.build_process(made))
    if not (loss.needs_teacher or loss.solved):
        return build.build_experiment(made, 2)
    made = build.build_experiment(msgspec.structs.replace(made, teacher="exact"), 2)
    return made._replace(teacher=lambda condition: TRUTH.velocity)


def points_for(loss):
    """Points of the data, with their exact paths where the loss learns from these."""
    rng = np.random.default_rng(0)
    if loss.solved is None:
        return loop.Points(jnp.asarray(TRUTH.draw(rng, ROWS), jnp.float32))
    z, one = rng.standard_normal((ROWS, 2)), np.ones((ROWS, 1))
    times = np.linspace(1, 0, 9 if loss.solved == "paths" else 2)
    path = np.stack([np.concatenate([TRUTH.jump(z, one, t * one), t * one], axis=1) for t in times], axis=1)
    path = jnp.asarray(path, jnp.float32)
    return loop.Points(path[:, -1, :-1], path=path)


def true_loss(made, weights):
    """Of the jumps that the loss asks for at the end of training, or those from noise to data of `reflow`."""
    t, r = made.loss.spans(jax.random.key(9), 512, jnp.float32(1.0))
    if made.loss.solved == "ends":
        t, r = jnp.ones_like(t), jnp.zeros_like(r)
    rng = np.random.default_rng(1)
    x = (1 - t) * TRUTH.draw(rng, 512) + t * rng.standard_normal((512, 2))
    u = average_velocity(made.structure, weights)
    return float(jnp.mean((u(x, t, r) - TRUTH.average(x, t, r)) ** 2))


@pytest.mark.parametrize("name", few_fast(loss_check.map_losses(), "psd", "progressive"))
def test_training_lowers_the_true_loss(name):
    made = built(name)
    state = loop.initial_state(made)
    before = true_loss(made, state.weights)
    for progress in loop.fit(made, state, points_for(made.loss), total=400):
        state = progress.state
    assert np.isfinite(progress.loss)
    assert true_loss(made, state.weights) < SLOWLY.get(name, 0.3) * before


def test_a_batch_has_its_share_on_the_diagonal_and_twins_have_the_same_times():
    """The network is asked at t = r for the diagonal, and each jump twice, with opposite noises."""
    made = built("paths")
    asked = []

    def network(weights, condition):
        def u(x, t, r):
            asked.append((np.asarray(x), np.asarray(t), np.asarray(r)))
            return TRUTH.average(x, t, r)

        return u

    made = made._replace(loss=built("lmd").loss._replace(residual=lambda u, span, lesson: u(span.x, span.t, span.r)))
    batch = draw_batch(made, points_for(built("lsd").loss), jax.random.key(0), 64)
    map_batch_losses(network, None, made, batch, DONE)
    (x, t, r), (x_jump, t_jump, r_jump) = asked
    assert (len(x), len(x_jump)) == (48, 16)
    np.testing.assert_array_equal(t, r)
    assert (r_jump < t_jump).all()
    np.testing.assert_array_equal(t_jump[:8], t_jump[8:])
    np.testing.assert_array_equal(r_jump[:8], r_jump[8:])
    rows = split_rows(64, 0.75)[1]
    expected = (1 - t_jump) * batch.x0[rows] + t_jump * batch.eps[rows]
    np.testing.assert_allclose(x_jump, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x_jump[:8] + x_jump[8:], 2 * (1 - t_jump[:8]) * batch.x0[rows[:8]], atol=1e-5)


def test_a_student_of_paths_sees_them():
    """The loss is 0 for the exact map, on and off the diagonal."""
    made = built("paths")
    batch = draw_batch(made, points_for(made.loss), jax.random.key(0), 64)
    losses = map_batch_losses(lambda weights, condition: TRUTH.average, None, made, batch, DONE)
    np.testing.assert_allclose(losses, 0, atol=1e-9)


def test_the_earlier_network_is_that_of_its_stage():
    """From the second stage on progressive distillation copies two jumps of the network before, and not the teacher."""
    made = built("progressive")
    batch = draw_batch(made, points_for(made.loss), jax.random.key(0), 64)
    network = lambda weights, condition: lambda x, t, r: weights * jnp.ones_like(x)  # noqa: E731
    late = loop.Stage(jnp.float32(0.9), jnp.float32(2.0))
    rows = split_rows(64, made.loss.diagonal)[1].reshape(2, -1)[:, ::2]  # of this stage; the others may be of the first
    jumps = map_batch_losses(network, jnp.float32(5.0), made, batch, late)[rows]
    np.testing.assert_allclose(jumps, 9.0)
    first = map_batch_losses(network, jnp.float32(5.0), made, batch, late._replace(progress=jnp.float32(0.0)))
    assert np.abs(first[rows] - 9).max() > 1
