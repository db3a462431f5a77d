"""Every loss: least for the exact denoiser, and what each of them is in closed form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from diffuse_cli import catalog
from diffuse_cli.diffusion import exact, losses
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.map_losses import MapLoss
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


@partial(jax.jit, static_argnums=0)
def shuffled(n=4096):
    """x0, eps [n, 2] and levels [n, 1] of the chain, each as often as the others."""
    keys = jax.random.split(KEY, 4)
    parts = jnp.array([[0.8, 0.5], [-0.7, -0.2], [0.1, -0.9]])[jax.random.randint(keys[0], (n,), 0, 3)]
    x0 = parts + 0.3 * jax.random.normal(keys[1], parts.shape)
    level = catalog.build("levels", "discrete")(PROCESS, keys[3], n)
    order = jax.random.permutation(keys[3], n)
    return x0, jax.random.normal(keys[2], parts.shape), jax.tree.map(lambda field: field[order], level)


def test_the_table_has_every_loss():
    """Of denoisers: `analysis/test_loss_check.py` has those of flow maps, which are no functions of an answer."""
    of_maps = {name for name in catalog.CATALOG["loss"] if isinstance(build(name), MapLoss)}
    assert {name.partition(":")[0] for name in LOSSES} == set(catalog.CATALOG["loss"]) - of_maps


@jax.jit
def twice(drawn):
    """Each point and level with its noise and with the opposite one, in which much of the chance cancels."""
    x0, eps, level = drawn
    both = lambda a: jnp.concatenate([a, a])  # noqa: E731
    return both(x0), jnp.concatenate([eps, -eps]), jax.tree.map(both, level)


WORSE = np.array([[1.0, 0.2], [1.0, -0.2], [1.2, 0.0], [0.8, 0.0]], np.float32)  # a factor, and deviations to add


PREDICTIONS = list(catalog.CATALOG["prediction"])


@pytest.mark.parametrize(
    ("name", "predictions"),
    [
        ("simple", PREDICTIONS),
        *((name, ["eps", "v"]) for name in LOSSES if name != "simple"),  # these read every answer as a Prediction
        *(pytest.param(name, PREDICTIONS, marks=pytest.mark.slow) for name in LOSSES if name != "simple"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}",
)
def test_nothing_is_below_the_exact_denoiser(name, predictions):
    """Its answer a little off, in any of a few ways, costs more on the same draws, up to their chance."""
    loss, predict = build(name), exact.denoiser(LAW, variance=build(name).learns_variance)

    def losses_of(prediction, x0, eps, level):
        made = made_for(loss, prediction)
        answer = losses.answer_of(predict, made)
        spread = jnp.std(answer(level.alpha * x0 + level.sigma * eps, level), axis=0, keepdims=True)
        off = lambda by: lambda x, level: by[0] * answer(x, level) + by[1] * spread  # noqa: E731
        each = jnp.concatenate([jnp.array([[1.0, 0.0]]), WORSE])
        return jax.vmap(lambda by: loss.of(off(by), made, x0, eps, level, KEY))(each)

    drawn = twice(shuffled())
    of_all = jax.jit(lambda *drawn: {name: losses_of(name, *drawn) for name in predictions})(*drawn)
    wrong = []
    for prediction, (least, *others) in jax.device_get(of_all).items():
        cost = np.float64(others) - np.float64(least)
        in_order = cost.mean(axis=1) > -2.5 * cost.std(axis=1) / np.sqrt(len(least))
        if not (np.isfinite(least).all() and in_order.all() and cost.mean() > 0):
            wrong.append(prediction)
    assert not wrong


def test_simple_is_zero_for_the_target_and_its_square_for_nothing(x64):
    loss, level = build("simple"), PROCESS.at(jnp.linspace(-5, 5, 200)[:, None])

    @jax.jit
    def found(x0, eps, level):
        each = {}
        for name in catalog.CATALOG["prediction"]:
            made = catalog.build("prediction", name, PROCESS)
            target = made.target(x0, eps, level)
            answers = (lambda x, level, target=target: target, lambda x, level: jnp.zeros_like(x))
            each[name] = target, *(loss.of(answer, made, x0, eps, level, KEY) for answer in answers)
        return each

    for name, (target, none, all_of_it) in found(*np.random.default_rng(0).normal(size=(2, 200, 3)), level).items():
        np.testing.assert_allclose(none, 0, atol=1e-15, err_msg=name)
        np.testing.assert_allclose(all_of_it, np.mean(np.square(target), axis=1), rtol=1e-12, err_msg=name)


def test_losses_see_the_noised_point(x64):
    x0, eps = jax.random.normal(KEY, (2, 200, 3), jnp.float64)
    level = PROCESS.at(jnp.full((200, 1), 1.0))
    seen = []
    made = catalog.build("prediction", "eps", PROCESS)
    build("simple").of(lambda x, level: seen.append(x) or x, made, x0, eps, level, KEY)
    np.testing.assert_allclose(seen[0], level.alpha * x0 + level.sigma * eps)


WEIGHTS = {
    "noise": np.ones_like,
    "likelihood": np.ones_like,
    "min_snr,gamma=3": lambda snr: np.minimum(snr, 3) / snr,
    "edm": lambda snr: 1 / snr + 1,
}


def test_score_matching_weighs_the_error_of_the_noise(x64):
    x0, eps = np.random.default_rng(0).normal(size=(2, 50, 2))
    level = PROCESS.at(jnp.linspace(-4, 4, 50)[:, None])
    made = catalog.build("prediction", "eps", PROCESS)
    answer = lambda x, level: jnp.ones_like(x)  # noqa: E731
    of = lambda weighting, *drawn: build(f"dsm:{weighting}").of(answer, made, *drawn, KEY)  # noqa: E731
    found = jax.jit(lambda *drawn: {weighting: of(weighting, *drawn) for weighting in WEIGHTS})(x0, eps, level)
    for weighting, weight in WEIGHTS.items():
        expected = weight(np.exp(np.asarray(level.log_snr)[:, 0])) * np.mean((1 - eps) ** 2, axis=1)
        np.testing.assert_allclose(found[weighting], expected, rtol=1e-9, err_msg=weighting)


def test_the_edm_weighting_makes_the_loss_of_its_network_plain(x64):
    """lambda c_out^2 = 1: Karras et al. 2022, section 5."""
    x0, eps = jax.random.normal(KEY, (2, 50, 2), jnp.float64)
    level = PROCESS.at(jnp.linspace(-4, 4, 50)[:, None])
    made = catalog.build("prediction", "edm", PROCESS)
    answer = lambda x, level: jnp.sin(x)  # noqa: E731
    plain = build("simple").of(answer, made, x0, eps, level, KEY)
    np.testing.assert_allclose(build("dsm:edm").of(answer, made, x0, eps, level, KEY), plain, rtol=1e-9)


def test_a_paths_noises_and_the_merged_ones_have_one_law():
    """The variance of the loss is that of its law, whichever way its noises were drawn.

    What is left of it under a denoiser that sees no noise at all is the squared last noise.
    """
    n = 40_000
    exactly = losses.answer_of(exact.denoiser(LAW), catalog.build("prediction", "v", PROCESS))
    answers = {"v": exactly, "eps": lambda x, level: jnp.zeros_like(x)}

    @partial(jax.jit, static_argnums=0)
    def found(name, x0, eps, level):
        return [
            build(name).of(answer, catalog.build("prediction", prediction, PROCESS), x0, eps, level, KEY)
            for prediction, answer in answers.items()
        ]

    (merged, last), (path, last_of_path) = (
        np.asarray(found(name, *shuffled(n)), np.float64) for name in ("previous", "previous:path")
    )
    assert abs(merged.mean() - path.mean()) < 5 * np.hypot(merged.std(), path.std()) / np.sqrt(n)
    assert path.var() == pytest.approx(merged.var(), rel=0.1)
    np.testing.assert_allclose(last.mean(), 1, atol=0.03)
    np.testing.assert_allclose(last_of_path.mean(), 1, atol=0.03)


def test_a_path_ends_in_the_law_of_its_level(x64):
    n = 20_000
    x0 = jnp.full((n, 2), 0.7)
    level = jax.tree.map(lambda field: jnp.full((n, 1), field), PROCESS.level(jnp.float64(0.6)))
    x = jax.jit(partial(losses._walked, PROCESS))(x0, level, KEY)
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

    @jax.jit
    def gradients(x0, eps, level):
        def total(shift, name):
            def answer(x, level):
                return jnp.concatenate([jnp.sin(x) + shift[None, :2], jnp.cos(x) + shift[None, 2:]], axis=1)

            return jnp.mean(build(name).of(answer, made, x0, eps, level, KEY))

        return {name: jax.grad(total)(jnp.zeros(4), name) for name in ("simple", "hybrid", "kl")}

    gradient = gradients(x0, eps, level)
    mean_only = gradient["simple"]
    np.testing.assert_allclose(gradient["hybrid"][:2], mean_only[:2], rtol=1e-9)
    np.testing.assert_allclose(gradient["hybrid"][2:], 0.001 * gradient["kl"][2:], rtol=1e-9)
    np.testing.assert_array_equal(mean_only[2:], 0)


def test_a_denoiser_that_says_no_variance_can_still_be_asked_for_the_rest():
    made = with_variance(catalog.build("prediction", "eps", PROCESS))
    predict = lambda x, level: Prediction(x, x, jnp.ones_like(x))  # noqa: E731
    level = PROCESS.at(jnp.float32(0.0))
    answer = losses.answer_of(predict, made)(jnp.ones((3, 2)), level)
    assert answer.shape == (3, 4)
    np.testing.assert_allclose(answer[:, 2:], np.log(1 / level.sigma**2), rtol=1e-6)
