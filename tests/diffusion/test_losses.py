"""Every loss: least for the exact denoiser, and what each of them is in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from diffuse_cli import catalog
from diffuse_cli.diffusion import exact, losses
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.parameterizations import with_variance
from diffuse_cli.diffusion.schedules import linear

LOSSES = [
    "simple", "dsm", "dsm:likelihood", "dsm:min_snr", "dsm:edm", "vlb", "vlb:large", "kl", "hybrid", "previous",
    "previous:path", "flow",
]  # fmt: skip
T = 20
PROCESS = p.Process(linear(T), T)
LAW = exact.mixture(jnp.array([[0.8, 0.5], [-0.7, -0.2], [0.1, -0.9]]), 0.3)
KEY = jax.random.key(0)


def build(name, process=PROCESS):
    return catalog.build("loss", name, process)


def made_for(loss, name="v"):
    made = catalog.build("prediction", name, PROCESS)
    return with_variance(made) if loss.learns_variance else made


def batch(n=4096, seed=0):
    keys = jax.random.split(jax.random.key(seed), 4)
    parts = jnp.array([[0.8, 0.5], [-0.7, -0.2], [0.1, -0.9]])[jax.random.randint(keys[0], (n,), 0, 3)]
    x0 = parts + 0.3 * jax.random.normal(keys[1], parts.shape)
    level = catalog.build("levels", "discrete")(PROCESS, keys[3], n)
    return x0, jax.random.normal(keys[2], parts.shape), jax.random.permutation(keys[3], n), level


def shuffled(n=4096, seed=0):
    x0, eps, order, level = batch(n, seed)
    return x0, eps, jax.tree.map(lambda field: field[order], level)


def test_the_table_has_every_loss():
    assert {name.partition(":")[0] for name in LOSSES} == set(catalog.CATALOG["loss"])


def twice(drawn):
    """Each point and level with its noise and with the opposite one, in which much of the chance cancels."""
    x0, eps, level = drawn
    both = lambda a: jnp.concatenate([a, a])  # noqa: E731
    return both(x0), jnp.concatenate([eps, -eps]), jax.tree.map(both, level)


@pytest.mark.parametrize("prediction", catalog.CATALOG["prediction"])
@pytest.mark.parametrize("name", LOSSES)
def test_nothing_is_below_the_exact_denoiser(name, prediction):
    """Its answer a little off, in any of a few ways, costs more on the same draws, up to their chance."""
    loss = build(name)
    made, x0, eps, level = made_for(loss, prediction), *twice(shuffled())
    answer = losses.answer_of(exact.denoiser(LAW, variance=loss.learns_variance), made)
    least = loss.of(answer, made, x0, eps, level, KEY)
    assert np.isfinite(least).all()
    spread = jnp.std(answer(level.alpha * x0 + level.sigma * eps, level), axis=0, keepdims=True)
    costs = []
    for worse in (
        lambda x, level: answer(x, level) + 0.2 * spread,
        lambda x, level: answer(x, level) - 0.2 * spread,
        lambda x, level: 1.2 * answer(x, level),
        lambda x, level: 0.8 * answer(x, level),
    ):
        cost = np.asarray(loss.of(worse, made, x0, eps, level, KEY) - least, np.float64)
        costs.append(cost)
        assert cost.mean() > -2.5 * cost.std() / np.sqrt(len(cost))
    assert np.mean(costs) > 0


@pytest.mark.parametrize("prediction", catalog.CATALOG["prediction"])
def test_simple_is_zero_for_the_target_and_its_square_for_nothing(prediction, x64):
    made, loss = catalog.build("prediction", prediction, PROCESS), build("simple")
    x0, eps = jax.random.normal(KEY, (2, 200, 3), jnp.float64)
    level = PROCESS.at(jnp.linspace(-5, 5, 200)[:, None])
    target = made.target(x0, eps, level)
    np.testing.assert_allclose(loss.of(lambda x, level: target, made, x0, eps, level, KEY), 0, atol=1e-15)
    nothing = loss.of(lambda x, level: jnp.zeros_like(x), made, x0, eps, level, KEY)
    np.testing.assert_allclose(nothing, np.mean(np.square(target), axis=1), rtol=1e-12)


def test_losses_see_the_noised_point(x64):
    x0, eps = jax.random.normal(KEY, (2, 200, 3), jnp.float64)
    level = PROCESS.at(jnp.full((200, 1), 1.0))
    seen = []
    made = catalog.build("prediction", "eps", PROCESS)
    build("simple").of(lambda x, level: seen.append(x) or x, made, x0, eps, level, KEY)
    np.testing.assert_allclose(seen[0], level.alpha * x0 + level.sigma * eps)


@pytest.mark.parametrize(
    ("weighting", "weight"),
    [
        ("noise", lambda snr: np.ones_like(snr)),
        ("likelihood", lambda snr: np.ones_like(snr)),
        ("min_snr,gamma=3", lambda snr: np.minimum(snr, 3) / snr),
        ("edm", lambda snr: (1 / snr + 1) * 1.0),
    ],
)
def test_score_matching_weighs_the_error_of_the_noise(weighting, weight, x64):
    x0, eps = jax.random.normal(KEY, (2, 50, 2), jnp.float64)
    level = PROCESS.at(jnp.linspace(-4, 4, 50)[:, None])
    made = catalog.build("prediction", "eps", PROCESS)
    got = build(f"dsm:{weighting}").of(lambda x, level: jnp.ones_like(x), made, x0, eps, level, KEY)
    expected = weight(np.exp(np.asarray(level.log_snr)[:, 0])) * np.mean((1 - np.asarray(eps)) ** 2, axis=1)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_the_edm_weighting_makes_the_loss_of_its_network_plain(x64):
    """lambda c_out^2 = 1: Karras et al. 2022, section 5."""
    x0, eps = jax.random.normal(KEY, (2, 50, 2), jnp.float64)
    level = PROCESS.at(jnp.linspace(-4, 4, 50)[:, None])
    made = catalog.build("prediction", "edm", PROCESS)
    answer = lambda x, level: jnp.sin(x)  # noqa: E731
    plain = build("simple").of(answer, made, x0, eps, level, KEY)
    np.testing.assert_allclose(build("dsm:edm").of(answer, made, x0, eps, level, KEY), plain, rtol=1e-9)


def last_noises(name, n=40_000):
    """What is left of the loss `previous` under a denoiser that sees no noise at all: the squared last noise."""
    x0, eps, level = shuffled(n)
    made = catalog.build("prediction", "eps", PROCESS)
    return np.asarray(build(name).of(lambda x, level: jnp.zeros_like(x), made, x0, eps, level, KEY))


def test_a_paths_noises_and_the_merged_ones_have_one_law():
    """The variance of the loss is that of its law, whichever way its noises were drawn."""
    n = 40_000
    x0, eps, level = shuffled(n)
    made = catalog.build("prediction", "v", PROCESS)
    answer = losses.answer_of(exact.denoiser(LAW), made)
    merged, path = (
        np.asarray(build(name).of(answer, made, x0, eps, level, KEY), np.float64)
        for name in ("previous", "previous:path")
    )
    assert abs(merged.mean() - path.mean()) < 5 * np.hypot(merged.std(), path.std()) / np.sqrt(n)
    assert path.var() == pytest.approx(merged.var(), rel=0.1)
    np.testing.assert_allclose(last_noises("previous").mean(), 1, atol=0.03)
    np.testing.assert_allclose(last_noises("previous:path").mean(), 1, atol=0.03)


def test_a_path_ends_in_the_law_of_its_level(x64):
    n = 20_000
    x0 = jnp.full((n, 2), 0.7)
    level = jax.tree.map(lambda field: jnp.full((n, 1), field), PROCESS.level(jnp.float64(0.6)))
    x = losses._walked(PROCESS, x0, level, KEY)
    np.testing.assert_allclose(x.mean(axis=0), 0.7 * level.alpha[0, 0], atol=5 / np.sqrt(n))
    np.testing.assert_allclose(x.std(axis=0), level.sigma[0, 0], rtol=0.03)


def test_flow_is_the_error_of_the_velocity(x64):
    x0, eps = jax.random.normal(KEY, (2, 50, 2), jnp.float64)
    process = p.Process(catalog.build("schedule", "flow", 100), 100, p.straight_flow)
    level = process.level(jnp.linspace(0.1, 0.9, 50)[:, None])
    made = catalog.build("prediction", "velocity", process)
    answer = lambda x, level: jnp.sin(x)  # noqa: E731
    got = build("flow", process).of(answer, made, x0, eps, level, KEY)
    np.testing.assert_allclose(got, np.mean((np.sin(level.alpha * x0 + level.sigma * eps) - (eps - x0)) ** 2, axis=1))


def test_optimal_pairs_are_the_best_assignment(x64):
    """What the network is asked under `ot` is the velocity between the pairs of the cheapest matching."""
    x0, eps = jax.random.normal(KEY, (2, 64, 2), jnp.float64)
    level = PROCESS.at(jnp.zeros((64, 1)))
    made = catalog.build("prediction", "velocity", PROCESS)
    loss = build("flow:ot")
    assert loss.kind == "flow"
    cost = ((np.asarray(x0)[:, None] - np.asarray(eps)[None]) ** 2).sum(axis=2)
    matched = optimize.linear_sum_assignment(cost)[1]
    got = jax.jit(lambda x0, eps: loss.of(lambda x, level: jnp.zeros_like(x), made, x0, eps, level, KEY))(x0, eps)
    np.testing.assert_allclose(got, np.mean((np.asarray(eps)[matched] - np.asarray(x0)) ** 2, axis=1), rtol=1e-9)
    assert got.mean() < np.mean((eps - x0) ** 2)


def test_hybrid_moves_the_mean_by_the_simple_loss_alone(x64):
    """Nichol & Dhariwal 2021, section 3.1: the bound's gradient stops at the mean."""
    x0, eps, level = (jax.tree.map(lambda a: a.astype(jnp.float64), part) for part in shuffled(32))
    made = with_variance(catalog.build("prediction", "eps", PROCESS))

    def gradient(name):
        def total(shift):
            def answer(x, level):
                return jnp.concatenate([jnp.sin(x) + shift[None, :2], jnp.cos(x) + shift[None, 2:]], axis=1)

            return jnp.mean(build(name).of(answer, made, x0, eps, level, KEY))

        return jax.grad(total)(jnp.zeros(4))

    mean_only = gradient("simple")
    np.testing.assert_allclose(gradient("hybrid")[:2], mean_only[:2], rtol=1e-9)
    np.testing.assert_allclose(gradient("hybrid")[2:], 0.001 * gradient("kl")[2:], rtol=1e-9)
    np.testing.assert_array_equal(mean_only[2:], 0)


def test_a_denoiser_that_says_no_variance_can_still_be_asked_for_the_rest():
    made = with_variance(catalog.build("prediction", "eps", PROCESS))
    predict = lambda x, level: Prediction(x, x, jnp.ones_like(x))  # noqa: E731
    level = PROCESS.at(jnp.float32(0.0))
    answer = losses.answer_of(predict, made)(jnp.ones((3, 2)), level)
    assert answer.shape == (3, 4)
    np.testing.assert_allclose(answer[:, 2:], np.log(1 / level.sigma**2), rtol=1e-6)
