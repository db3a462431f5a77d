"""Guidance has closed forms where two Gaussians share a covariance: there everything is affine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.gaussians import overlap
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level, unscaled, variance_preserving
from diffuse_cli.errors import UsageError
from diffuse_cli.guidance.base import check_sampler, guidance_text
from diffuse_cli.guidance.classifier import exact_classifier
from diffuse_cli.samplers.ddim import ddim
from diffuse_cli.samplers.loop import run_steps
from tests.samplers.table import COVARIANCE, KEY, MEAN, SAMPLERS, levels_of, start_at

GIVEN, PLAIN = MEAN, np.array([-0.5, 0.3])  # the means of p(x | c) and p(x)
SCALES = (0.0, 0.5, 1.0, 2.0, 4.0)
# all that is `cfg` where guidance is constant in x
AFFINE = [
    "cfg:w={}", "interval:w={},low=0,high=1e6", "auto:run=other,w={}", "classifier:w={}", "apg:w={},eta=1",
    "apg:w={},eta=1,r=1e6", "fkc:w={}",
]  # fmt: skip
ALL = [*AFFINE, "interval:w={}", "apg:w={}", "apg:w={},eta=0.5,r=0.5", "cfgpp:lam={}"]
LOG_SNRS = np.linspace(-10.0, 9.0, 20)
OVERLAP = overlap()


def test_the_table_has_every_guidance():
    assert {text.partition(":")[0] for text in ALL} == set(catalog.CATALOG["guidance"])


def halves_of(laws, share):
    """What a guidance needs, by name: (first, second)."""
    given, plain = (jax.tree_util.Partial(exact.denoiser(law)) for law in laws)
    classifier = exact_classifier(*laws, share)
    return {"unconditional": (given, plain), "guide": (given, plain), "classifier": (plain, classifier)}


def guided(text, halves):
    guidance = catalog.build("guidance", text)
    return guidance.combine(*halves[guidance.needs])


def at_levels(predict, x):
    """The predictions of x [levels, n, d] at LOG_SNRS."""
    levels = jax.vmap(lambda at: Level(at, *variance_preserving(at)))(jnp.asarray(LOG_SNRS, x.dtype))
    return jax.vmap(predict)(x, levels)


def predictions(texts, scales, halves, x):
    """The predictions of each guidance at each scale, in one program, and those of both halves.

    The scales are stacked as data: denoisers of one guidance are pytrees of one structure.
    """

    def at_scales(text, x):
        each = [guided(text.format(w), halves) for w in scales]
        stacked = jax.tree.map(lambda *leaves: jnp.asarray(leaves, x.dtype), *each)
        return jax.vmap(lambda predict: at_levels(predict, x))(stacked)

    given, plain = halves["unconditional"]
    stacked, *both = jax.device_get(
        jax.jit(lambda x: ({text: at_scales(text, x) for text in texts}, at_levels(given, x), at_levels(plain, x)))(x)
    )
    found = {
        text.format(w): jax.tree.map(lambda field, i=i: field[i], each)
        for text, each in stacked.items()
        for i, w in enumerate(scales)
    }
    return found | dict(zip(("given", "plain"), both, strict=True))


def points(n=12):
    """Noisy points [levels, n, 2] at LOG_SNRS."""
    rng = np.random.default_rng(0)
    alpha, sigma = (np.asarray(part)[:, None, None] for part in variance_preserving(LOG_SNRS))
    return alpha * rng.normal(size=(20, n, 2)) * 1.5 + sigma * rng.normal(size=(20, n, 2))


@pytest.fixture(scope="module")
def affine():
    """Of two Gaussians with one covariance, in double precision: the predictions, and those of the law π_w."""
    with jax.enable_x64(True):
        laws = [exact.gaussian(mean, COVARIANCE) for mean in (GIVEN, PLAIN)]
        found = predictions(AFFINE, SCALES, halves_of(laws, 0.5), points())
        at_w = [exact.gaussian(w * GIVEN + (1 - w) * PLAIN, COVARIANCE) for w in SCALES]
        expected = jax.jit(lambda x: [at_levels(exact.denoiser(law), x) for law in at_w])(points())
        return found, dict(zip(SCALES, jax.device_get(expected), strict=True))


def test_where_all_is_affine_every_guidance_is_the_denoiser_of_the_tilted_law(affine):
    """π_w is then N(w μ_c + (1 − w) μ, C), with noise too."""
    found, expected = affine
    wrong = [
        f"{text.format(w)}, {field}"
        for text in AFFINE
        for w in SCALES
        for field in ("x0", "eps")
        if np.abs(getattr(found[text.format(w)], field) - getattr(expected[w], field)).max() > 1e-7
    ]
    assert not wrong


def test_weights_are_those_of_the_formula_and_equal_where_all_is_affine(affine):
    found, _ = affine
    squares = lambda eps: np.sum(eps**2, axis=-1)  # noqa: E731
    given, plain = squares(found["given"].eps), squares(found["plain"].eps)
    for w in SCALES:
        p = found[f"fkc:w={w}"]
        np.testing.assert_allclose(p.log_weight, (squares(p.eps) - w * given - (1 - w) * plain) / 2, atol=1e-9)
        np.testing.assert_allclose(p.log_weight, p.log_weight[:, :1] + np.zeros((20, 12)), atol=1e-12)
        assert (np.abs(p.log_weight).max() > 0.01) == (w not in (0, 1))
        assert found[f"cfg:w={w}"].log_weight is None


@pytest.fixture(scope="module")
def overlapping():
    """Predictions on two classes that overlap, in double precision and in single."""
    laws = OVERLAP.classes.exact(0), OVERLAP.exact()
    found = []
    for double in (True, False):
        with jax.enable_x64(double):
            x = points().astype("f8" if double else "f4")
            found.append(predictions(ALL, (0.0, 1.0, 3.0), halves_of(laws, 0.5), x))
    return found


def largest(a, b):
    return max(np.abs(getattr(a, field) - getattr(b, field)).max() for field in ("x0", "eps"))


def test_scale_1_is_conditional_and_scale_0_unconditional(overlapping):
    """By Bayes' rule also for an exact classifier: its gradient and the unconditional score are the conditional one."""
    found, _ = overlapping
    for text in AFFINE:
        assert largest(found[text.format(1.0)], found["given"]) < 1e-7, text
        assert largest(found[text.format(0.0)], found["plain"]) < 1e-7, text
    for text in ("interval:w={}", "apg:w={}", "apg:w={},eta=0.5,r=0.5"):
        assert largest(found[text.format(1.0)], found["given"]) == 0, text
    assert largest(found["cfg:w=3.0"], found["given"]) > 0.1
    assert (found["fkc:w=1.0"].log_weight == 0).all()
    assert (found["fkc:w=0.0"].log_weight == 0).all()


def test_every_guidance_in_single_precision(overlapping):
    double, single = overlapping
    errors = {text: largest(double[text], single[text]) for text in double}
    assert {text: error for text, error in errors.items() if error > 2e-3} == {}


def test_x_is_alpha_x0_and_sigma_eps(overlapping):
    """For all but cfgpp, whose noise is unconditional."""
    found, _ = overlapping
    alpha, sigma = (np.asarray(part)[:, None, None] for part in variance_preserving(LOG_SNRS))
    apart = {text: np.abs(alpha * p.x0 + sigma * p.eps - points()).max() for text, p in found.items()}
    assert {text.partition(":")[0] for text, error in apart.items() if error > 1e-6} == {"cfgpp"}


def test_interval_is_cfg_inside_and_conditional_outside(overlapping):
    found, _ = overlapping
    factory = catalog.options_of(catalog.factory(catalog.parse("guidance", "interval")))
    ratio = np.exp(-LOG_SNRS / 2)
    inside = (factory["low"].default < ratio) & (ratio <= factory["high"].default)
    assert 0 < inside.sum() < 20
    p = found["interval:w=3.0"]
    np.testing.assert_array_equal(p.x0[inside], found["cfg:w=3.0"].x0[inside])
    np.testing.assert_array_equal(p.x0[~inside], found["given"].x0[~inside])


def test_the_ends_of_the_interval():
    """low is outside, high inside."""
    ones, zeros = (jax.tree_util.Partial(lambda x, level, to=to: exact.Prediction(x * 0 + to, x)) for to in (1.0, 0.0))
    predict = catalog.build("guidance", "interval:w=3,low=0.25,high=4").combine(ones, zeros)
    level = {ratio: unscaled(jnp.float32(-2 * np.log(ratio))) for ratio in (0.24, 0.26, 3.9, 4.1)}
    at = {ratio: float(predict(jnp.zeros((1, 1)), level[ratio]).x0[0, 0]) for ratio in level}
    assert at == {0.24: 1, 0.26: 3, 3.9: 3, 4.1: 1}


def test_apg_shortens_the_difference_and_keeps_a_share_of_its_part_along_the_conditional_x0(overlapping):
    found, _ = overlapping
    c, d = found["given"].x0, found["given"].x0 - found["plain"].x0
    for text, eta, r in (("apg:w=3.0", 0.0, np.inf), ("apg:w=3.0,eta=0.5,r=0.5", 0.5, 0.5)):
        length = np.linalg.norm(d, axis=-1, keepdims=True)
        short = d * np.minimum(1, r / length)
        assert (length > r).any() == (r == 0.5)
        parallel = np.sum(short * c, axis=-1, keepdims=True) / np.sum(c * c, axis=-1, keepdims=True) * c
        np.testing.assert_allclose(found[text].x0, c + 2 * (short - parallel + eta * parallel), atol=1e-9)


def test_a_step_of_cfgpp_is_one_of_cfg_with_a_scale_that_depends_on_its_length(x64):
    halves = halves_of((OVERLAP.classes.exact(0), OVERLAP.exact()), 0.5)
    levels = levels_of("log_snr", 20)
    now, nxt = (jax.tree.map(lambda field, i=i: field[i], levels) for i in (0, 1))
    lam, h = 0.6, float(nxt.log_snr - now.log_snr)
    x, sampler = points()[0], ddim()

    def step(text):
        return sampler.step(guided(text, halves), sampler.init(x), now, nxt, KEY).x

    plus, plain = jax.jit(lambda: (step(f"cfgpp:lam={lam}"), step(f"cfg:w={lam / -np.expm1(-h / 2)}")))()
    np.testing.assert_allclose(plus, plain, atol=1e-10)


def test_another_scale_compiles_nothing():
    halves = halves_of((OVERLAP.classes.exact(0), OVERLAP.exact()), 0.5)
    levels, sampler = levels_of(steps=9), catalog.build("sampler", "ddim")
    seen = []
    for text in ("cfg:w=2", "cfg:w=3.5"):
        run_steps(guided(text, halves), sampler, levels, start_at(levels), KEY)
        seen.append(run_steps._cache_size())
    assert seen[0] == seen[1]


def accepts(guidance, name):
    try:
        check_sampler(guidance, name, catalog.build("sampler", name))
    except UsageError as error:
        return "give --sampler " not in str(error)
    return True


def test_which_samplers_a_guidance_accepts():
    accepted = {
        text.partition(":")[0]: {
            name.partition(":")[0] for name in SAMPLERS if accepts(catalog.build("guidance", text.format(2)), name)
        }
        for text in ALL
    }
    only = {"fkc": {"particles", "twisted"}, "cfgpp": {"ddim", "dpm_1", "ddpm"}}
    assert accepted == {name: only.get(name, set(catalog.CATALOG["sampler"])) for name in catalog.CATALOG["guidance"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cfg", "cfg needs w"),
        ("cfg:w=-1", "w=-1"),
        ("interval:w=2,low=-1", "low=-1"),
        ("auto:w=2", "auto needs run"),
        ("apg:w=2,momentum=0.5", "unknown option of guidance apg"),
        ("apg:w=2,r=0", "r=0"),
        ("fck:w=2", "did you mean 'fkc'"),
        ("cfgpp:w=2", "unknown option"),
    ],
)
def test_bad_choices(text, says):
    with pytest.raises(UsageError) as error:
        catalog.build("guidance", text)
    assert says in str(error.value)


def test_a_number_is_the_scale_of_cfg():
    assert catalog.build("guidance", guidance_text("2")).w == 2
    assert guidance_text("fkc:2") == "fkc:2"
    assert catalog.build("guidance", "auto:small,w=3").guide == "small"
