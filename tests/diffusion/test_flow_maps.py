"""Flow maps: closed forms, the semigroup, jumps in every scaling, the true loss, and the times that losses ask for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog, config
from diffuse_cli.analysis import exact_maps, loss_check
from diffuse_cli.diffusion import exact, flow_maps, map_losses, true_loss
from diffuse_cli.diffusion import process as p
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.networks import denoiser
from diffuse_cli.training import loop
from tests.samplers.table import COVARIANCE, MEAN, gaussian, parts

SCALINGS = [p.variance_preserving, p.variance_exploding, p.straight_flow, p.sub_variance_preserving]
N = 64


def drawn(n=N, seed=0):
    """x on the straight path [n, 2], and times t > s > r [n, 1]."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0.02, 0.98, (3, n, 1)), axis=0)[::-1]
    return jnp.asarray(rng.standard_normal((n, 2))), *map(jnp.asarray, times)


def closed_map(x, t, r):
    """X_{t→r} of N(m, C): (1 - r) m + S_r S_t^-1 (x - (1 - t) m), S_t^2 = (1 - t)^2 C + t^2."""
    values, basis = np.linalg.eigh(COVARIANCE)
    spread = lambda t: jnp.sqrt((1 - t) ** 2 * values[None] + t**2)  # noqa: E731
    turned = (x - (1 - t) * MEAN[None]) @ basis * spread(r) / spread(t)
    return (1 - r) * MEAN[None] + turned @ basis.T


def test_the_map_of_a_gaussian_has_a_closed_form(x64):
    """With a level for each row; to the clean level too, where it is the consistency function."""
    x, t, _, r = drawn()
    levels = [flow_maps.flow_level(each) for each in (t, r)]
    ends, solved = flow_maps.solve_map(gaussian, x, *levels)
    clean, _ = flow_maps.solve_map(gaussian, x, levels[0], flow_maps.flow_level(jnp.zeros_like(t)))
    assert solved.all()
    np.testing.assert_allclose(ends, closed_map(x, t, r), atol=1e-6)
    np.testing.assert_allclose(clean, closed_map(x, t, 0 * t), atol=1e-6)


def test_the_map_of_a_mixture_on_a_line_is_the_monotone_rearrangement(x64):
    truth = exact_maps.mixture()
    law = exact.gaussians(np.array([[-1.2], [0.3], [1.1]]), np.array([[[0.35**2]], [[0.2**2]], [[0.3**2]]]),
                          np.array([0.4, 0.25, 0.35]))  # fmt: skip
    x, t, _, r = drawn()
    predict = jax.tree_util.Partial(exact.denoiser(law))
    ends, solved = flow_maps.solve_map(predict, x[:, :1], flow_maps.flow_level(t), flow_maps.flow_level(r))
    assert solved.all()
    np.testing.assert_allclose(ends, truth.jump(x[:, :1], t, r), atol=1e-6)
    np.testing.assert_allclose(flow_maps.velocity_of(predict)(x[:, :1], t), truth.velocity(x[:, :1], t), atol=1e-9)


def test_two_jumps_are_one(x64):
    x, *times = drawn()
    t, s, r = map(flow_maps.flow_level, times)
    solve = lambda x, now, nxt: flow_maps.solve_map(parts, x, now, nxt)[0]  # noqa: E731
    np.testing.assert_allclose(solve(solve(x, t, s), s, r), solve(x, t, r), atol=1e-6)


def test_a_short_jump_goes_with_the_velocity(x64):
    x, t, *_ = drawn()
    h = 1e-4
    levels = [flow_maps.flow_level(each) for each in (t + h / 2, t - h / 2)]
    velocity = flow_maps.velocity_of(parts)
    start = x + h / 2 * velocity(x, t)
    np.testing.assert_allclose(
        (start - flow_maps.solve_map(parts, start, *levels, tolerance=1e-11)[0]) / h, velocity(x, t), atol=2e-4
    )


def test_exact_jumps_are_the_same_in_every_scaling(x64):
    x, t, _, r = drawn()
    jump, log_snr = flow_maps.exact_jump(gaussian), [flow_maps.flow_level(each).log_snr for each in (t, r)]
    for scaling in SCALINGS:
        now, nxt = (p.Level(each, *scaling(each)) for each in log_snr)
        end = jump(x * (now.alpha + now.sigma), now, nxt) / (nxt.alpha + nxt.sigma)
        np.testing.assert_allclose(end, closed_map(x, t, r), atol=1e-6, err_msg=scaling.__name__)
        clean = jump(x * (now.alpha + now.sigma), now, p.CLEAN)
        np.testing.assert_allclose(clean, closed_map(x, t, 0 * t), atol=1e-6, err_msg=scaling.__name__)


def average(x, t, r):
    short = t == r
    return (x - closed_map(x, t, r)) / jnp.where(short, 1.0, t - r)


def test_an_average_velocity_jumps_in_every_scaling(x64):
    x, t, _, r = drawn()
    for scaling in SCALINGS:
        now, nxt = (p.Level(each, *scaling(each)) for each in (flow_maps.flow_level(at).log_snr for at in (t, r)))
        start = x * (now.alpha + now.sigma)
        np.testing.assert_allclose(
            flow_maps.jump_by(average, start, now, nxt) / (nxt.alpha + nxt.sigma), closed_map(x, t, r), atol=1e-12
        )
        np.testing.assert_allclose(flow_maps.jump_by(average, start, now, p.CLEAN), closed_map(x, t, 0 * t), atol=1e-12)


def test_flow_times_and_levels_are_inverse(x64):
    t = jnp.linspace(0.001, 0.999, 50)
    level = flow_maps.flow_level(t)
    np.testing.assert_allclose(flow_maps.flow_time(level), t, rtol=1e-12)
    np.testing.assert_allclose([level.alpha, level.sigma], [1 - t, t], rtol=1e-12)
    for scaling in SCALINGS:
        np.testing.assert_allclose(flow_maps.flow_time(p.Level(level.log_snr, *scaling(level.log_snr))), t, rtol=1e-9)


def student(**settings):
    made = build.build_experiment(config.make({"loss": "lsd", "width": 16, "depth": 2, **settings}), 2)
    weights = loop.initial_state(made).weights
    return made, jax.tree.map(lambda w: np.asarray(w) + 0.1 * np.sin(np.arange(w.size)).reshape(w.shape), weights)


def test_the_diagonal_of_a_network_of_two_times_is_its_answer():
    made, weights = student()
    u, answer = denoiser.average_velocity(made.structure, weights), denoiser.answer(made.structure, weights)
    x, t, s, r = (each.astype(jnp.float32) for each in drawn())
    for scaling in SCALINGS:
        level = p.Level(flow_maps.flow_level(t).log_snr, *scaling(flow_maps.flow_level(t).log_snr))
        got = answer(x * (level.alpha + level.sigma), level)
        np.testing.assert_allclose(got, u(x, t, t), rtol=1e-3, atol=1e-4, err_msg=scaling.__name__)
    assert np.abs(u(x, t, s) - u(x, t, r)).max() > 1e-3
    assert np.abs(u(x, t, r) - u(x, s, r)).max() > 1e-3


def test_each_row_jumps_as_it_is_told():
    dataset = build.build_dataset(config.make({"dataset": "moons"}))
    settings = config.make({"loss": "lsd", "width": 16, "depth": 2, "conditional": True})
    made = build.build_experiment(settings, 2, conditions=build.conditions_of(settings, dataset))
    weights = loop.initial_state(made).weights
    weights = jax.tree.map(lambda w: np.asarray(w) + 0.1 * np.sin(np.arange(w.size)).reshape(w.shape), weights)
    jump = denoiser.conditional_jumper(made.structure, weights)
    x, now, nxt = jnp.ones((N, 2)), p.preserved(p.unscaled(jnp.float32(-3.0))), p.CLEAN
    labels = jnp.arange(N) % 2
    together = jump(labels)(x, now, nxt)
    for label in (0, 1):
        alone = jump(jnp.full(N, label))(x, now, nxt)
        np.testing.assert_allclose(together[label::2], alone[label::2], rtol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-4


def test_the_true_loss_is_the_distance_from_the_exact_average_velocity():
    rng = np.random.default_rng(0)
    x0 = MEAN + rng.standard_normal((N, 2)) @ np.linalg.cholesky(COVARIANCE).T
    t, r = true_loss.spread_times(N, 0)
    assert ((r < t) & (r >= 0) & (t <= 1)).all()
    jumps = true_loss.solved_jumps(gaussian, x0, t, r, 0)
    assert len(jumps.x) == N
    with jax.enable_x64(True):
        exactly = average(*(jnp.asarray(each, jnp.float64) for each in jumps[:3]))
    np.testing.assert_allclose(jumps.u, exactly, atol=2e-3)
    off = lambda x, t, r: jnp.asarray(jumps.u) + jnp.array([[0.3, -0.1]])  # noqa: E731
    np.testing.assert_allclose(true_loss.true_losses(off, jumps), 0.05, rtol=1e-4)


@pytest.mark.parametrize(("n", "share"), [(8, 0.75), (7, 0.5), (256, 0.25), (1, 0.75), (64, 0.0)])
def test_rows_are_split_with_both_halves_of_a_pair_together(n, share):
    diagonal, jumps = map_losses.split_rows(n, share)
    assert sorted([*diagonal, *jumps]) == list(range(n))
    half = (n + 1) // 2
    assert {row for row in diagonal if row < half} >= {row - half for row in diagonal if row >= half}
    assert {row for row in jumps if row < half} >= {row - half for row in jumps if row >= half}
    assert abs(len(diagonal) - share * n) <= 1.5


def test_along_a_path_the_mean_slope_is_asked_for(x64):
    rng = np.random.default_rng(0)
    times = np.broadcast_to(np.linspace(1, 0, 5)[None, :, None], (N, 5, 1))
    path = jnp.asarray(np.concatenate([rng.standard_normal((N, 5, 2)), times], axis=2))
    t, r = jnp.full((N, 1), 0.8), jnp.full((N, 1), 0.2)
    span = map_losses.along_path(path, t, r)
    np.testing.assert_allclose([span.t, span.r], [0.75 * jnp.ones_like(t), 0.25 * jnp.ones_like(t)])
    np.testing.assert_array_equal(span.x, path[:, 1, :2])
    np.testing.assert_allclose(span.x - (span.t - span.r) * span.d, path[:, 3, :2])
    for pair in ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0)):  # a jump goes somewhere, whatever is asked
        same = map_losses.along_path(path, *(jnp.full((N, 1), each) for each in pair))
        assert (same.t > same.r).all()


def test_every_loss_asks_for_jumps_from_noise_to_data():
    draw = {
        name: jax.jit(lambda key, progress, name=name: build_loss(name).spans(key, 512, progress))
        for name in loss_check.map_losses()
    }
    assert len(draw) >= 9
    for name, spans in draw.items():
        for progress in (0.0, 0.49, 1.0):
            t, r = spans(jax.random.key(0), progress)
            assert t.shape == r.shape == (512, 1), name
            assert ((r >= 0) & (t <= 1) & (r < t)).all(), (name, progress)


def build_loss(name):
    return catalog.build("loss", name, p.Process(p.Schedule(lambda t: 10 - 20 * t), 20))


def test_progressive_distillation_halves_its_steps():
    loss = build_loss("progressive:steps=8")
    assert loss.stages == 3
    for progress, width in ((0.0, 0.25), (0.32, 0.25), (0.34, 0.5), (0.67, 1.0), (1.0, 1.0)):
        t, r = loss.spans(jax.random.key(0), 64, jnp.float32(progress))
        widths = np.asarray(t - r)[:, 0]
        np.testing.assert_allclose(widths[::2], width, rtol=1e-6)  # the others are those of this stage or earlier ones
        assert set(widths[1::2].tolist()) == {each for each in (0.25, 0.5, 1.0) if each <= width}
        np.testing.assert_allclose(t[:, 0] / widths, np.round(t[:, 0] / widths), rtol=1e-6)


@pytest.mark.parametrize(("steps", "near"), [(12, (8, 16)), (3, (2, 4)), (1000, (512, 1024))])
def test_progressive_distillation_takes_a_power_of_two(steps, near):
    with pytest.raises(UsageError, match=f"steps={near[0]} or progressive:steps={near[1]}"):
        build_loss(f"progressive:steps={steps}")
