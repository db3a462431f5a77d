"""The loop: the same steps however they are cut, the rates it says, and weights that learn what is known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import Conditions
from diffuse_cli.models import build
from diffuse_cli.networks.denoiser import conditional_predictor, predictor
from diffuse_cli.training import loop, optimiser


def built(dim=2, **settings):
    return build.build_experiment(
        config.make({"width": 16, "depth": 2, "batch_size": 32, "steps": 130, "warmup": 5, **settings}), dim
    )


def points(n=500, dim=2):
    return loop.Points(np.random.default_rng(5).standard_normal((n, dim)).astype(np.float32))


def train(made, total=None, state=None, **extra):
    *_, last = loop.fit(
        made, state or loop.initial_state(made), points(dim=made.dim), total=total or made.config.steps, **extra
    )
    return last


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_chunks_do_not_change_the_result():
    """137 steps in chunks of 37 and 100 are 137 steps in chunks of 10, 100 and 27, bit for bit."""
    made = built(steps=137)
    whole = train(made).state
    chunk, state = loop.chunk_function(made), loop.initial_state(made)
    for stop in (37, 137):
        state, losses = chunk(state, points(), np.int32(stop), np.int32(137))
    assert np.isnan(losses[100:]).all()
    assert_same(whole, state)


def test_a_chunk_stops_where_it_is_told():
    made = built()
    state, losses = loop.chunk_function(made)(loop.initial_state(made), points(), np.int32(7), np.int32(130))
    assert int(state.step) == 7
    assert np.isfinite(losses[:7]).all()
    assert np.isnan(losses[7:]).all()


def test_every_step_is_reported_once():
    made = built(steps=137)
    steps = [progress.step for progress in loop.fit(made, loop.initial_state(made), points(), total=137)]
    assert steps[-1] == 137
    assert steps == sorted(set(steps))


@pytest.mark.parametrize(
    ("name", "value"), [("seed", 1), ("lr", 1e-3), ("batch_size", 16), ("ema", 0.5), ("clip", 1e-3)]
)
def test_a_setting_changes_the_result(name, value):
    one, other = train(built()).state, train(built(**{name: value})).state
    pairs = zip(jax.tree.leaves(one.average), jax.tree.leaves(other.average), strict=True)
    assert any((np.asarray(a) != b).any() for a, b in pairs)


def test_weight_decay_shrinks():
    norm = lambda made: sum(np.sum(np.square(w)) for w in jax.tree.leaves(train(made).state.weights))  # noqa: E731
    assert norm(built(weight_decay=1.0)) < norm(built())


def test_other_lengths_and_rates_compile_nothing():
    made = built()
    chunk, state = loop.chunk_function(made), loop.initial_state(made)
    state, _ = chunk(state, points(), np.int32(10), np.int32(130))
    before = chunk.func._cache_size()
    chunk(state, points(), np.int32(77), np.int32(1000))
    assert chunk.func._cache_size() == before


@pytest.mark.parametrize("speed", [None, 500.0])
def test_a_budget_is_used_up_and_the_rate_comes_down(speed, slow_clock):
    made = built()
    updates = list(loop.fit(made, loop.initial_state(made), points(), total=1, budget=6.0, speed=speed))
    last = updates[-1]
    assert last.step == last.total > 1000
    assert [update.done for update in updates] == sorted(update.done for update in updates)
    assert last.done == 1
    rate = optimiser.learning_rate(jnp.int32(last.step - 1), jnp.int32(last.total), peak=1.0, warmup=5)
    assert float(rate) < 1e-4


def test_a_budget_shorter_than_compiling_ends_at_once(slow_clock):
    made = built()
    *_, last = loop.fit(made, loop.initial_state(made), points(), total=1, budget=0.01)
    assert last.step == last.total == 10


def test_learning_rate_rises_then_falls_to_zero():
    rate = lambda step: float(optimiser.learning_rate(jnp.int32(step), jnp.int32(1000), peak=0.1, warmup=9))  # noqa: E731
    assert rate(0) == pytest.approx(0.01)
    assert rate(9) == pytest.approx(0.1, rel=1e-3)
    assert rate(500) == pytest.approx(0.05)
    assert rate(1000) == pytest.approx(0, abs=1e-9)


def test_the_average_is_the_moving_average_of_the_weights():
    """Three steps by hand: average <- d average + (1 - d) weights, d = min(ema, (1 + step) / (10 + step))."""
    made = built(ema=0.15)
    chunk, state = loop.chunk_function(made), loop.initial_state(made)
    expected = np.asarray(state.average["last"]["kernel"])
    for step in range(3):
        state, _ = chunk(state, points(), np.int32(step + 1), np.int32(130))
        decay = min(0.15, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * np.asarray(state.weights["last"]["kernel"])
        np.testing.assert_allclose(state.average["last"]["kernel"], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("prediction", ["v", *(pytest.param(name, marks=pytest.mark.slow) for name in ("eps", "x0"))])
def test_it_learns_the_exact_denoiser_of_a_gaussian(prediction):
    """Data N(0, C): a small network comes close to E[x0 | x] where there is both signal and noise."""
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    data, noise = np.float32(np.random.default_rng(1).standard_normal((2, 20_000, 2)))
    data = data @ np.float32(np.linalg.cholesky(covariance)).T
    made = built(width=32, steps=1500, batch_size=128, prediction=prediction)
    *_, last = loop.fit(made, loop.initial_state(made), loop.Points(data), total=1500)
    predict = predictor(made.structure, last.state.average, made.parameterization)
    truth = exact.denoiser(exact.gaussian(np.zeros(2), covariance))

    @jax.jit
    def error(log_snr):
        level = made.process.at(log_snr)
        x = level.alpha * data[:2000] + level.sigma * noise[:2000]
        return jnp.mean((level.alpha * (predict(x, level).x0 - truth(x, level).x0)) ** 2)  # = sigma^2 (error of eps)^2

    assert max(float(error(jnp.float32(log_snr))) for log_snr in (-2.0, 0.0, 2.0)) < 0.004


def test_held_out_noise_is_always_the_same():
    made = built()
    average = loop.initial_state(made).average
    once, again = (float(loop.held_out_function(made, points())(average).mean()) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("rows", [3, 64])
def test_each_held_out_row_meets_as_many_noises(rows):
    """The mean of the rows is the loss of the batch, however few they are."""
    made = built()
    average, some = loop.initial_state(made).average, points(rows)
    losses = loop.held_out_function(made, some)(average)
    assert losses.shape == (rows,)

    @jax.jit
    def whole(weights, some):
        batch = loop._held_out_batch(made, some, np.uint32(0), 0)
        return loop.weights_loss(weights, made, batch), batch.x0

    loss, x0 = whole(average, some)
    assert float(losses.mean()) == pytest.approx(float(loss), rel=1e-3)
    counts = np.unique(np.asarray(x0), axis=0, return_counts=True)[1]
    assert len(counts) == rows
    assert counts.min() >= loop.HELD_OUT // rows - 1


def test_the_irreducible_loss_of_a_gaussian():
    """For x0 ~ N(0, I), the posterior of v given x has unit variance at every level; of eps it is alpha^2's mean."""
    data, law = np.float32(np.random.default_rng(0).standard_normal((4096, 2))), exact.gaussian(np.zeros(2), np.eye(2))
    by_v, by_eps = (built(prediction=name, levels="continuous", schedule="linear") for name in ("v", "eps"))
    assert loop.irreducible_loss(by_v, loop.Points(data), law).result()[0] == pytest.approx(1, abs=0.03)
    alpha_bar = by_eps.process.level(jnp.linspace(0.001, 1, 10_001)).alpha ** 2
    assert loop.irreducible_loss(by_eps, loop.Points(data), law).result()[0] == pytest.approx(
        float(alpha_bar.mean()), abs=0.02
    )


def test_nothing_is_below_the_irreducible_loss_on_its_own_noise():
    made = built()
    spread = np.array([0.3, 1.3], np.float32)
    data = loop.Points(spread[None] * np.float32(np.random.default_rng(0).standard_normal((4096, 2))))
    law = exact.gaussian(np.zeros(2), np.diag(spread**2))
    loss = float(loop.held_out_function(made, data)(loop.initial_state(made).average).mean())
    least, chance = loop.irreducible_loss(made, data, law).result()
    assert loss - chance > least


def test_it_learns_what_a_label_says_and_what_is_known_without_one():
    """Points −1 and 1 with their labels: at high noise x0 is the label's point, and without one tanh of what x tells.
    With the labels as conditions the least loss is that of their laws."""
    conditions = Conditions(("left", "right"), (0.5, 0.5))
    settings = {"width": 16, "depth": 2, "batch_size": 64, "lr": 0.01, "conditional": True, "label_dropout": 0.5}
    made = build.build_experiment(config.make(settings), 1, conditions=conditions)
    labels = np.arange(512, dtype=np.int32) % 2
    data = loop.Points(np.float32(2 * labels[:, None] - 1), labels)
    *_, last = loop.fit(made, loop.initial_state(made), data, total=500)
    given = conditional_predictor(made.structure, last.state.average, made.parameterization)
    left, right, none = jax.jit(
        lambda x, level: [given(np.array(label, np.int32))(x, level).x0[:, 0] for label in (0, 1, -1)]
    )(x := jnp.linspace(-1.0, 1.0, 5)[:, None], level := made.process.at(jnp.float32(-1.0)))
    np.testing.assert_allclose([left[:3], right[2:]], [[-1] * 3, [1] * 3], atol=0.25)  # where there are such points
    np.testing.assert_allclose(none, np.tanh(x[:, 0] * level.alpha / level.sigma**2), atol=0.25)
    laws = [exact.gaussian(np.array([side]), np.zeros((1, 1))) for side in (-1.0, 1.0)]
    least = [
        loop.irreducible_loss(made, data, exact.mixture(np.array([[-1.0], [1.0]]), 0.0), laws).result()[0],
        loop.irreducible_loss(
            made, data._replace(condition=None), exact.mixture(np.array([[-1.0], [1.0]]), 0.0)
        ).result()[0],
    ]
    assert least[0] == pytest.approx(least[1] / 2, rel=0.05)  # half of the labels are left out, the rest know it all
