"""Losses of flow maps at maps that are known: all of the catalogue are right, and each planted fault is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.analysis import exact_maps, loss_check
from diffuse_cli.diffusion.map_losses import any_spans
from diffuse_cli.errors import UsageError

SETTINGS = config.make({})
DRAWS = 2048
GAUSSIAN = exact_maps.gaussian()
stopped = jax.lax.stop_gradient


def found(claim, truth=GAUSSIAN, draws=DRAWS):
    return loss_check.check(claim, truth, SETTINGS, draws=draws)


def failures(claims, truth):
    each = [found(claim, truth) for claim in claims]
    return [str(finding) for finding in each if finding is not None and not finding.passed]


def all_claims():
    return [claim for name in loss_check.map_losses() for claim in loss_check.claims_of(name)]


def test_every_loss_of_the_catalogue_is_right_on_a_gaussian():
    claims = all_claims()
    assert len(claims) >= 12
    assert not failures(claims, GAUSSIAN)


@pytest.mark.slow
def test_every_loss_of_the_catalogue_is_right_where_the_map_is_not_linear():
    assert not failures(all_claims(), exact_maps.mixture())


@pytest.mark.slow
def test_a_loss_is_right_on_a_set_whose_flow_is_solved():
    moons = exact_maps.of_dataset(config.make({"dataset": "moons"}))
    finding = loss_check.check(loss_check.claims_of("psd")[0], moons, SETTINGS)
    assert finding.passed, finding


def along(u, span, dx, dt):
    """u at a span, and its derivative along dx, dt."""
    return jax.jvp(lambda x, t: u(x, t, span.r), (span.x, span.t), (dx, dt * jnp.ones_like(span.t)))


def lagrangian(u, span, lesson, *, sign=1.0, length=None, place=None, time=None, seen=1.0):
    """The residual of lsd with something wrong in it."""
    length = length or (lambda r: span.t - r)
    end, slope = jax.jvp(lambda r: span.x - length(r) * u(span.x, span.t, r), (span.r,), (jnp.ones_like(span.r),))
    velocity = lesson.velocity(stopped(end) if place is None else place, span.r if time is None else time)
    return seen * slope + (1 - seen) * stopped(slope) - sign * stopped(velocity)


def meanflow(u, span, *, sign=1.0, tangent=1.0, dt=1.0, length=None, stop=stopped):
    average, total = along(u, span, tangent * span.d, dt)
    return average - stop(span.d - sign * (span.t - span.r if length is None else length) * total)


def improved(u, span, lesson, *, keep=lambda u: u, sign=1.0, dt=1.0):
    average, total = along(u, span, lesson.velocity(span.x, span.t), dt)
    return keep(average) + sign * (span.t - span.r) * stopped(total) - span.d


def two_jumps(u, span, lesson, *, low=0.0, high=1.0, swapped=False, moved=True, student=lambda u: u, target=stopped):
    share = jax.random.uniform(lesson.key, span.t.shape, minval=low, maxval=high)
    s = span.t - share * (span.t - span.r)
    first = u(span.x, span.t, s)
    second = u(span.x - moved * (span.t - s) * first, s, span.r)
    part = 1 - share if swapped else share
    return student(u(span.x, span.t, span.r)) - target(part * first + (1 - part) * second)


def consistent(u, span, lesson, *, sign=1.0, heun=1.0, target=stopped, factor=None):
    back = 2.0**-17 * (1 + 8 * jax.nn.sigmoid(-span.t)) * span.t
    s, clean = span.t - back, jnp.zeros_like(span.t)
    x_s = span.x - sign * back * span.d
    if lesson.taught:
        x_s = span.x - sign * back * (span.d + heun * lesson.velocity(x_s, s)) / 2
    t, s_factor = (span.t, s) if factor is None else (factor, factor)
    return span.x - t * u(span.x, span.t, clean) - target(x_s - s_factor * u(x_s, s, clean))


def halved(u, span, lesson, *, before=None, second_sign=1.0, moved=True):
    middle = (span.t + span.r) / 2
    slope = before or lesson.before
    first = slope(span.x, span.t, middle)
    second = slope(span.x - moved * (span.t - middle) * first, middle, span.r)
    return u(span.x, span.t, span.r) - stopped((first + second_sign * second) / 2)


RIGHT = {  # the formulas above without a fault
    "lsd": lagrangian,
    "lmd": lagrangian,
    "meanflow": lambda u, s, lesson: meanflow(u, s),
    "imf": improved,
    "psd": two_jumps,
    "consistency": consistent,
    "consistency, taught": consistent,
    "progressive, last stage": halved,
}
WRONG = {
    "lsd": {
        "wrong sign": lambda *a: lagrangian(*a, sign=-1.0),
        "no (t - r)": lambda u, s, lesson: lagrangian(u, s, lesson, length=jnp.ones_like),
        "time reversed": lambda u, s, lesson: lagrangian(u, s, lesson, length=lambda r: r - s.t),
        "the slope detached": lambda *a: lagrangian(*a, seen=0.0),
        "velocity where it starts": lambda u, s, lesson: lagrangian(u, s, lesson, place=s.x),
    },
    "lmd": {"velocity when it starts": lambda u, s, lesson: lagrangian(u, s, lesson, time=s.t)},
    "meanflow": {
        "wrong sign": lambda u, s, _: meanflow(u, s, sign=-1.0),
        "no (t - r)": lambda u, s, _: meanflow(u, s, length=jnp.ones_like(s.t)),
        "tangent reversed": lambda u, s, _: meanflow(u, s, tangent=-1.0),
        "no time in the tangent": lambda u, s, _: meanflow(u, s, dt=0.0),
        "no space in the tangent": lambda u, s, _: meanflow(u, s, tangent=0.0),
        "target not detached": lambda u, s, _: meanflow(u, s, stop=lambda target: target),
    },
    "imf": {
        "wrong sign": lambda *a: improved(*a, sign=-1.0),
        "time reversed": lambda *a: improved(*a, dt=-1.0),
        "average detached": lambda *a: improved(*a, keep=stopped),
    },
    "psd": {
        "shares swapped": lambda *a: two_jumps(*a, swapped=True),
        "s before t": lambda *a: two_jumps(*a, low=-0.5),
        "s behind r": lambda *a: two_jumps(*a, high=1.5),
        "the second jump from x": lambda *a: two_jumps(*a, moved=False),
        "the student detached in place of the target": lambda *a: two_jumps(*a, student=stopped, target=lambda y: y),
    },
    "consistency": {
        "forward in time": lambda *a: consistent(*a, sign=-1.0),
        "no t before u": lambda *a: consistent(*a, factor=1.0),
        "target not detached": lambda *a: consistent(*a, target=lambda y: y),
    },
    "consistency, taught": {"the second slope reversed": lambda *a: consistent(*a, heun=-1.0)},
    "reflow, from t = 1": {"data minus noise": lambda u, s, _: u(s.x, s.t, s.r) + s.d},
    "reflow, lines": {"another time": lambda u, s, _: u(s.x, s.t / 2 + s.r / 2, s.r) - s.d},
    "paths": {"not divided by (t - r)": lambda u, s, _: u(s.x, s.t, s.r) - (s.t - s.r) * s.d},
    "progressive, first stage": {"teacher reversed": lambda u, s, lesson: u(s.x, s.t, s.r) + lesson.velocity(s.x, s.t)},
    "progressive, last stage": {
        "slopes subtracted": lambda *a: halved(*a, second_sign=-1.0),
        "the second half from x": lambda *a: halved(*a, moved=False),
        "velocity for the average": lambda u, s, lesson: halved(
            u, s, lesson, before=lambda x, t, r: lesson.velocity(x, t)
        ),
    },
}  # fmt: skip


def test_planted_faults_are_found():
    claims = {claim.name: claim for claim in all_claims()}
    assert set(WRONG) == set(claims)  # a new loss needs faults of its own
    survivors = []
    for name, faults in WRONG.items():
        for fault, residual in faults.items():
            claim = claims[name]._replace(loss=claims[name].loss._replace(residual=residual))
            if found(claim).passed and found(claim, draws=8 * DRAWS).passed:  # some show only in the mean of many draws
                survivors.append(f"{name}: {fault}")
    assert sum(map(len, WRONG.values())) >= 25
    assert not survivors


def test_the_formulas_that_faults_are_planted_in_are_right():
    claims = {claim.name: claim for claim in all_claims()}
    assert not failures(
        [claims[name]._replace(loss=claims[name].loss._replace(residual=right)) for name, right in RIGHT.items()],
        GAUSSIAN,
    )


def test_faults_beside_the_residual_are_found():
    """Jumps that go back in time, a weight that is left out, and one that depends on a noisy residual."""
    (lsd,), (consistency, _) = map(loss_check.claims_of, ("lsd", "consistency"))

    def backwards(*drawn):
        t, r = any_spans(*drawn)
        return r, t

    assert not found(lsd._replace(loss=lsd.loss._replace(spans=backwards))).passed
    assert not found(consistency._replace(loss=consistency.loss._replace(weight=None))).passed


def test_the_slope_and_the_pull_of_plain_regression_have_a_closed_form():
    """|| u - u* - b ||^2 for a constant b: -2 b E g / rms g at u*, and a pull of 1; twice the loss pulls by 2."""
    (claim,) = loss_check.claims_of("paths")
    off = lambda u, span, _: 2**0.5 * (u(span.x, span.t, span.r) - span.d - 0.3)  # noqa: E731
    finding = found(claim._replace(loss=claim.loss._replace(residual=off, diagonal=0.0)))
    assert finding.residual == pytest.approx(0.3 * 2**0.5)
    assert not finding.passed
    assert finding.gradients[2].value == pytest.approx(-4 * 0.3)
    assert [each.value for each in finding.pulls] == pytest.approx([2.0] * 4)


def test_a_loss_of_another_map_makes_no_claim(monkeypatch):
    monkeypatch.setattr(loss_check, "_build", lambda text: GAUSSIAN_LOSS)
    assert loss_check.claims_of("lsd") == []


GAUSSIAN_LOSS = loss_check.claims_of("lsd")[0].loss._replace(follows_flow=False)


def test_a_loss_of_a_denoiser_is_refused():
    with pytest.raises(UsageError, match="simple trains a denoiser and no flow map; those of flow maps are lsd, "):
        loss_check.claims_of("simple")


@pytest.mark.parametrize("truth", [GAUSSIAN, exact_maps.mixture()], ids=lambda truth: truth.name)
def test_the_known_maps_are_those_of_the_flow(truth, x64):
    """∂_r X = v(X, r), X_{s→r} X_{t→s} = X_{t→r}, and X_{1→0} takes noise to the data."""
    rng = np.random.default_rng(0)
    x0 = truth.draw(rng, 4096)
    t, s, r = (jnp.asarray(each) for each in np.sort(rng.uniform(size=(3, 4096, 1)), axis=0)[::-1])
    x = (1 - t) * x0 + t * rng.standard_normal(x0.shape)
    end, slope = jax.jvp(lambda r: truth.jump(x, t, r), (r,), (jnp.ones_like(r),))
    np.testing.assert_allclose(slope, truth.velocity(end, r), atol=1e-9)
    np.testing.assert_allclose(truth.jump(truth.jump(x, t, s), s, r), end, atol=1e-11)
    np.testing.assert_allclose(truth.average(x, t, t), truth.velocity(x, t), atol=1e-12)
    data = truth.jump(jnp.asarray(rng.standard_normal(x0.shape)), jnp.ones_like(t), jnp.zeros_like(t))
    np.testing.assert_allclose(np.quantile(data, [0.1, 0.3, 0.7, 0.9], axis=0),
                               np.quantile(x0, [0.1, 0.3, 0.7, 0.9], axis=0), atol=0.2)  # fmt: skip
