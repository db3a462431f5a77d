"""What trains a flow map: losses of a network u(x, t, r), the average velocity of `flow_maps`.

A part of each batch is flow matching on the diagonal, || u(x, t, t) - v ||^2, which makes the network a denoiser too.
The rest asks the same network for jumps from t to r, each loss in its own way. Each factory returns a `MapLoss`.

Where there is a teacher, its velocity stands for the noisy one of a pair of data and noise, eps - x0: the mean over
such pairs at x is the velocity of the flow.
"""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.flow_maps import AverageVelocity, Velocity, unwarped_time
from diffuse_cli.diffusion.losses import Kind
from diffuse_cli.errors import UsageError

_X = Float[Array, "n d"]
_Time = Float[Array, "n 1"]
_PerPoint = Float[Array, " n"]
_ROUNDING = 1e-9
_FROM_NOISE = 0.25  # of the jumps begin at t = 1
_Share = Annotated[float, Meta(ge=0, lt=1)]
_stopped = jax.lax.stop_gradient


class Span(NamedTuple):
    """A jump that is asked for: from x at time t to time r, below t.

    d: a velocity at x whose mean, given x, is that of the flow: eps - x0, or the teacher's. Of paths that were solved
    beforehand it is the average velocity from t to r. x0: the clean points that were drawn; None on solved paths.
    """

    x: _X
    d: _X
    t: _Time
    r: _Time
    x0: _X | None = None


class Lesson(NamedTuple):
    """What a loss may use beside the network.

    velocity: that of the teacher, or without one of the network's own diagonal; no gradient passes through it.
    taught: whether it is a teacher's. before: the network as it was when the present stage of training began.
    key: for what a loss draws. progress: the part of training that is done, from 0 to 1.
    """

    velocity: Velocity
    taught: bool
    before: AverageVelocity
    key: PRNGKeyArray
    progress: Float[Array, ""]


# Between any levels; from any level to clean data; from noise to clean data.
Jumps = Literal["any", "to_clean", "whole"]
Spans = Callable[[PRNGKeyArray, int, Float[Array, ""]], tuple[_Time, _Time]]  # (key, n, progress) -> t and r in [0, 1]


class MapLoss(NamedTuple):
    """A loss of a flow map, and what a caller has to know to use it.

    residual: (u, span, lesson) -> [n, d], whose squared norm is the loss; it has no mean where u is the exact map.
    spans: how the times t and r are drawn.
    diagonal: the share of a batch that is flow matching.
    weight: (residual [n, d], span, lesson) -> [n], without a gradient; None for equal weights.
    levels: the choice of training noise levels of the diagonal that suits it.
    kind: what the diagonal becomes, as of `losses.Loss`.
    needs_teacher: whether it can only be learned from a teacher.
    solved: what of the teacher's flow is solved before training: nothing, its ends, or all of its paths.
    stages: into how many stages training is divided, each of which begins with a copy of the network.
    alone: without a teacher, the share of training, at its beginning, in which only the diagonal is trained; what comes
        of it is then the teacher.
    follows_flow: whether the map that it learns is that of the flow. jumps: which jumps it learns.
    mixes_rows: whether the loss of a point depends on the other points, which then have to be of one law.
    """

    residual: Callable[[AverageVelocity, Span, Lesson], _X]
    spans: Spans
    diagonal: float = 0.75
    weight: Callable[[_X, Span, Lesson], _PerPoint] | None = None
    levels: str = "flow_time"
    kind: Kind = "denoiser"
    needs_teacher: bool = False
    solved: str | None = None
    stages: int = 1
    alone: float = 0.0
    follows_flow: bool = True
    jumps: Jumps = "any"
    mixes_rows: bool = False
    requires_levels: bool = False
    learns_variance: bool = False
    bounds: bool = False


def diagonal_losses(u: AverageVelocity, x: _X, t: _Time, velocity: _X) -> _PerPoint:
    """Flow matching, || u(x, t, t) - velocity ||^2 / d. Lipman et al. 2023, eq. 23."""
    return jnp.mean((u(x, t, t) - velocity) ** 2, axis=-1)


def span_losses(loss: MapLoss, u: AverageVelocity, span: Span, lesson: Lesson) -> _PerPoint:
    """The loss of each jump, [n]."""
    residual = loss.residual(u, span, lesson)
    losses: _PerPoint = jnp.mean(residual**2, axis=-1)
    if loss.weight is not None:
        losses *= _stopped(loss.weight(residual, span, lesson))
    return losses


def split_rows(n: int, diagonal: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a batch of n that are on the diagonal, and the others; both halves of a pair are in the same part.

    Both parts are spread evenly over the batch, whose noise levels are in order.

    >>> [rows.tolist() for rows in split_rows(8, 0.75)]
    [[1, 2, 3, 5, 6, 7], [0, 4]]
    """
    half = (n + 1) // 2
    place = np.arange(n) % half
    first = np.floor((place + 1) * diagonal + _ROUNDING) > np.floor(place * diagonal + _ROUNDING)
    return np.flatnonzero(first), np.flatnonzero(~first)


def along_path(path: Float[Array, "n k d1"], t: _Time, r: _Time) -> Span:
    """The jumps on solved paths, from the point of each that is nearest to time t to the one nearest to r, below it.

    path: [n, k, d + 1], points of the straight path and their falling times.
    """
    times = path[:, :, -1]
    last = times.shape[1] - 1
    first = jnp.clip(jnp.argmin(jnp.abs(times - t), axis=1), 0, last - 1)
    second = jnp.clip(jnp.argmin(jnp.abs(times - r), axis=1), first + 1, last)
    start, end = (jnp.take_along_axis(path, at[:, None, None], axis=1)[:, 0] for at in (first, second))
    t, r = start[:, -1:], end[:, -1:]
    return Span(start[:, :-1], (start[:, :-1] - end[:, :-1]) / (t - r), t, r)


def any_spans(
    key: PRNGKeyArray, n: int, progress: Float[Array, ""], from_noise: float = _FROM_NOISE
) -> tuple[_Time, _Time]:
    """t and r are two draws, the larger one first; in a share `from_noise` t is 1, from where samples are drawn.

    The draws are uniform in `warped_time`, with more of them near the data.
    """
    drawn = jax.random.uniform(key, (2, n, 1))
    t, r = jnp.max(drawn, axis=0), jnp.min(drawn, axis=0)
    first = jnp.arange(n)[:, None] < from_noise * n
    return unwarped_time(jnp.where(first, 1.0, t)), unwarped_time(jnp.where(first, drawn[0], r))


def to_clean_spans(key: PRNGKeyArray, n: int, progress: Float[Array, ""]) -> tuple[_Time, _Time]:
    """t as of `any_spans`, and r is 0."""
    first = jnp.arange(n)[:, None] < _FROM_NOISE * n
    t = unwarped_time(jnp.where(first, 1.0, jax.random.uniform(key, (n, 1))))
    return t, jnp.zeros_like(t)


def path_spans(key: PRNGKeyArray, n: int, progress: Float[Array, ""]) -> tuple[_Time, _Time]:
    """As `any_spans`, with half of the jumps from t = 1, of which every other one goes all the way to 0."""
    t, r = any_spans(key, n, progress, from_noise=0.5)
    number = jnp.arange(n)[:, None]
    return t, jnp.where((number < n / 2) & (number % 2 == 0), 0.0, r)


def lsd(*, diagonal: _Share = 0.75) -> MapLoss:
    """Lagrangian self-distillation, ∂_r X_{t→r}(x) - v(X_{t→r}(x), r), with v from the diagonal. Boffi et al. 2025.

    The map has to move as the velocity says at the place where it arrives. One derivative along r, and none along x.
    Source: Boffi, Albergo & Vanden-Eijnden 2025 (arXiv 2505.18825), Lagrangian condition.

    >>> lsd().diagonal, lsd().needs_teacher
    (0.75, False)
    """
    return MapLoss(_lagrangian, any_spans, diagonal)


def lmd(*, diagonal: _Share = 0.75) -> MapLoss:
    """Lagrangian map distillation: as `lsd`, with the velocity of a teacher. Boffi et al. 2024 (arXiv 2406.07507).

    >>> lmd().needs_teacher
    True
    """
    return lsd(diagonal=diagonal)._replace(needs_teacher=True)


def _lagrangian(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
    arrive = lambda r: span.x - (span.t - r) * u(span.x, span.t, r)  # noqa: E731
    end, slope = jax.jvp(arrive, (span.r,), (jnp.ones_like(span.r),))
    at_the_end: _X = lesson.velocity(_stopped(end), span.r)
    return jnp.asarray(slope - _stopped(at_the_end))


def meanflow(
    *, p: Annotated[float, Meta(ge=0, le=4)] = 0.0, c: Annotated[float, Meta(gt=0)] = 1e-3, diagonal: _Share = 0.75
) -> MapLoss:
    """MeanFlow, u - [d - (t - r) (d·∂_x u + ∂_t u)], weighted by 1 / (|| . ||^2 + c)^p. Geng et al. 2025, eq. 10.

    p: their weight has p = 1. It makes the loss nearly 1 for ever, and biases the flow where d is noisy; 0 does not.

    >>> meanflow().weight is None, meanflow(p=1).weight is None
    (True, False)
    """

    def residual(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
        average, total = _along(u, span, span.d)
        return average - _stopped(span.d - (span.t - span.r) * total)

    def weight(residual: _X, span: Span, lesson: Lesson) -> _PerPoint:
        return (jnp.sum(residual**2, axis=-1) + c) ** -p

    return MapLoss(residual, any_spans, diagonal, weight if p else None)


def imf(*, diagonal: _Share = 0.5) -> MapLoss:
    """Improved MeanFlow, u + (t - r) d/dt u - d, where d/dt goes along the predicted velocity. Geng et al. 2025b.

    The target d has no gradient and no network in it, so this is a regression, and its loss can be read.
    Source: improved MeanFlow (arXiv 2512.02012).

    >>> imf().diagonal
    0.5
    """

    def residual(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
        average, total = _along(u, span, lesson.velocity(span.x, span.t))
        return average + (span.t - span.r) * _stopped(total) - span.d

    return MapLoss(residual, any_spans, diagonal)


def _along(u: AverageVelocity, span: Span, velocity: _X) -> tuple[_X, _X]:
    """u at a span, and its derivative d/dt = v·∂_x u + ∂_t u along a velocity, for a fixed r."""
    fixed = lambda x, t: u(x, t, span.r)  # noqa: E731
    return jax.jvp(fixed, (span.x, span.t), (velocity, jnp.ones_like(span.t)))


def psd(*, diagonal: _Share = 0.75) -> MapLoss:
    """Progressive self-distillation: one jump from t to r equals two, by way of a time s between them.

    X_{t→r} = X_{s→r}(X_{t→s}), the semigroup property; s is uniform between r and t. Boffi et al. 2025; in the shortcut
    models of Frans et al. 2024 s is in the middle.

    >>> psd().needs_teacher
    False
    """

    def residual(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
        share = jax.random.uniform(lesson.key, span.t.shape)
        s = span.t - share * (span.t - span.r)
        first = u(span.x, span.t, s)
        second = u(span.x - (span.t - s) * first, s, span.r)
        return u(span.x, span.t, span.r) - _stopped(share * first + (1 - share) * second)

    return MapLoss(residual, any_spans, diagonal)


def consistency(
    *,
    q: Annotated[float, Meta(gt=1)] = 2.0,
    stages: Annotated[int, Meta(ge=1, le=20)] = 8,
    diagonal: _Share = 0.25,
) -> MapLoss:
    """Consistency training: f(x_t) equals f(x_s) for the same data and noise, f = x - t u(x, t, 0), s just below t.

    The step t - s = t q^-k (1 + 8 sigmoid(-t)) becomes smaller in `stages`, k = 1, 2, …; the weight is 1 / (t - s).
    With a teacher x_s is a step of Heun's method along its flow. Song et al. 2023, algorithms 2 and 3; the tuned steps
    are those of Geng et al. 2024 (ECT), section 4.

    >>> consistency().levels
    'flow_time'
    """

    def step(span: Span, lesson: Lesson) -> _Time:
        stage = jnp.minimum(jnp.floor(lesson.progress * stages) + 1, stages)
        return span.t * jnp.minimum(1.0, q**-stage * (1 + 8 * jax.nn.sigmoid(-span.t)))

    def residual(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
        back = step(span, lesson)
        s, clean = span.t - back, jnp.zeros_like(span.t)
        x_s = span.x - back * span.d
        if lesson.taught:
            x_s = span.x - back * (span.d + lesson.velocity(x_s, s)) / 2
        target = _stopped(x_s - s * u(x_s, s, clean))
        return span.x - span.t * u(span.x, span.t, clean) - target

    def weight(residual: _X, span: Span, lesson: Lesson) -> _PerPoint:
        return 1 / step(span, lesson)[:, 0]

    return MapLoss(residual, to_clean_spans, diagonal, weight, jumps="to_clean")


def reflow(*, diagonal: _Share = 0.0) -> MapLoss:
    """Rectified flow: u is regressed on noise minus data, for pairs that the teacher's flow has joined.

    The map from t = 1 is that of the teacher; on the way its paths are nearly straight, and another flow than the
    teacher's. Liu et al. 2023, section 2.2.

    >>> reflow().kind, reflow().solved
    ('flow', 'ends')
    """
    return MapLoss(_regress, any_spans, diagonal, kind="flow", needs_teacher=True, solved="ends")


def paths(*, diagonal: _Share = 0.2, alone: Annotated[float, Meta(gt=0, lt=1)] = 0.4) -> MapLoss:
    """Regression on paths: u(x_t, t, r) is regressed on (x_t - x_r) / (t - r) of paths that were solved before.

    No derivative of the network, and no target that moves. They are the paths of the teacher's flow. Without a teacher
    the diagonal alone is trained at first, for the share `alone` of training, and then is the teacher.

    >>> paths().solved, paths().needs_teacher
    ('paths', False)
    """
    return MapLoss(_regress, path_spans, diagonal, solved="paths", alone=alone)


def _regress(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
    return u(span.x, span.t, span.r) - span.d


def progressive(*, steps: Annotated[int, Meta(ge=2, le=1024)] = 16, diagonal: _Share = 0.25) -> MapLoss:
    """Progressive distillation: in each stage one jump learns to equal two of the stage before, until one jump is left.

    steps: of the teacher, by DDIM on the straight path; it is halved in each stage, so it has to be a power of two.
    Salimans & Ho 2022, algorithm 2. Raises UsageError for another number.

    >>> progressive(steps=8).stages
    3
    """
    stages = steps.bit_length() - 1
    if steps != 1 << stages:
        raise UsageError(
            f"progressive distillation halves its steps until one is left, and {steps} is not a power of two; give "
            f"progressive:steps={1 << stages} or progressive:steps={2 << stages}"
        )

    def spans(key: PRNGKeyArray, n: int, progress: Float[Array, ""]) -> tuple[_Time, _Time]:
        now = jnp.minimum(jnp.floor(progress * stages), stages - 1)
        # every other jump is one of an earlier stage, which would be forgotten otherwise
        level = jnp.floor((now + 1) * jax.random.uniform(jax.random.fold_in(key, 1), (n, 1)))
        width = 2.0 ** (jnp.where(jnp.arange(n)[:, None] % 2 == 0, now, level) + 1) / steps
        t = width * jnp.ceil(jax.random.uniform(key, (n, 1)) / width)
        return t, jnp.maximum(t - width, 0.0)

    def residual(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
        middle = (span.t + span.r) / 2
        of_teacher = span.t - span.r < 3 / steps  # two of its steps: those of the first stage

        def slope(x: _X, t: _Time, r: _Time) -> _X:
            return jnp.where(of_teacher, lesson.velocity(x, t), lesson.before(x, t, r))

        first = slope(span.x, span.t, middle)
        second = slope(span.x - (span.t - middle) * first, middle, span.r)
        return u(span.x, span.t, span.r) - _stopped((first + second) / 2)

    return MapLoss(residual, spans, diagonal, needs_teacher=True, stages=stages)
