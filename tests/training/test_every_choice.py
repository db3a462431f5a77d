"""Whatever is chosen, a network learns it: the loss on the same held-out draws falls, and samples come of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog, config
from diffuse_cli.analysis import loss_check
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.networks.denoiser import answer, predictor
from diffuse_cli.samplers.loop import sample
from diffuse_cli.training import loop

OF_MAPS = loss_check.map_losses()  # `test_map_losses` trains with these
LEARNED = {"variance": "learned", "loss": "kl", "timesteps": 20}
FREE = {  # what can be chosen whatever else is
    "prediction": [name for name in catalog.CATALOG["prediction"] if name != "previous"],
    "schedule": [name for name in catalog.CATALOG["schedule"] if name not in ("table", "learned")],
    "scaling": list(catalog.CATALOG["scaling"]),
    "levels": list(catalog.CATALOG["levels"]),
    "loss": [name for name in catalog.CATALOG["loss"] if name not in ("vlb", "kl", "hybrid", "previous", *OF_MAPS)],
}
TOGETHER = [  # every entry of the catalogue, in as few networks as do
    *(
        {kind: names[i % len(names)] for kind, names in FREE.items()}
        for i in range(max(len(names) for names in FREE.values()))
    ),
    {"loss": "previous", "prediction": "previous", "schedule": "table:0.05,0.1,0.2,0.4,0.6", "timesteps": 5},
    {"loss": "vlb", "schedule": "learned", "timesteps": 20},
    LEARNED | {"schedule": "linear", "zero_terminal_snr": True},
    LEARNED | {"loss": "hybrid", "prediction": "x0", "noise_conditioning": False},
]
ALONE = [
    *({kind: name} for kind, names in FREE.items() for name in names),
    {"loss": "vlb"},
    {"prediction": "previous", "timesteps": 20, "schedule": "linear"},
    {"schedule": "table:0.05,0.1,0.2,0.4,0.6", "timesteps": 5},
    {"loss": "previous", "timesteps": 10, "schedule": "linear"},
    {"loss": "previous:path", "timesteps": 10, "schedule": "linear"},
    {"loss": "flow:ot", "prediction": "velocity", "schedule": "flow"},
    {"schedule": "learned", "loss": "vlb", "timesteps": 20},
    {"zero_terminal_snr": True, "schedule": "linear"},
    {"noise_conditioning": False, "prediction": "eps"},
    LEARNED,
    LEARNED | {"loss": "hybrid", "prediction": "x0"},
]
CASES = [*TOGETHER, *(pytest.param(settings, marks=pytest.mark.slow) for settings in ALONE)]


def built(**settings):
    made = config.make({"width": 16, "depth": 2, "batch_size": 64, "warmup": 0, **settings})
    return build.build_experiment(made, 2)


@pytest.mark.parametrize("kind", ["prediction", "schedule", "scaling", "levels", "loss"])
def test_every_entry_is_learned_with(kind):
    for cases in (TOGETHER, ALONE):
        names = {case[kind].partition(":")[0] for case in cases if kind in case}
        assert names == set(catalog.CATALOG[kind]) - set(OF_MAPS)


@pytest.mark.parametrize("settings", CASES, ids=lambda settings: "-".join(map(str, settings.values())))
def test_every_choice_learns(settings):
    made = built(**settings)
    dataset = build.build_dataset(made.config)
    drawn = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), 2000))
    points = loop.Points(jnp.asarray(drawn, jnp.float32))
    judge, state = loop.held_out_function(made, points), loop.initial_state(made)
    before = float(judge(state.weights).mean())
    for progress in loop.fit(made, state, points, total=100):
        state = progress.state
    after = float(judge(state.weights).mean())
    assert after < before
    predict = predictor(made.structure, state.weights, made.parameterization)
    made = build.with_learned_schedule(made, state.weights)
    levels = catalog.build("grid", "log_snr")(made.process, 5)
    sampler = catalog.build("sampler", "ddpm:variance=learned" if made.config.variance == "learned" else "ddpm")
    drawn = sample(predict, sampler, levels, jax.random.key(0), (50, 2), scaling=made.process.scaling)
    assert np.isfinite(drawn.x).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "kl"}, "--variance learned"),
        ({"loss": "hybrid"}, "--variance learned"),
        ({"variance": "learned"}, "--loss hybrid"),
        ({"schedule": "learned"}, "--loss vlb"),
        ({"schedule": "learned", "loss": "vlb", "zero_terminal_snr": True}, "learned:last"),
        ({"loss": "vlb", "levels": "normal"}, "--levels discrete"),
        ({"loss": "dsm:likelihood", "levels": "continuous"}, "--levels log_snr"),
    ],
)
def test_a_loss_without_meaning_is_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        built(**settings)


@pytest.mark.parametrize("conditioned", [True, False])
def test_without_conditioning_the_network_sees_no_noise_level(conditioned):
    made = built(noise_conditioning=conditioned)
    weights = jax.tree.map(lambda w: np.asarray(w) + 0.1, loop.initial_state(made).weights)
    call, x = jax.jit(answer(made.structure, weights)), np.ones((3, 2), np.float32)
    first, second = (call(x, made.process.level(t)) for t in (0.2, 0.8))
    if conditioned:
        assert np.abs(first - second).max() > 0.01
    else:
        np.testing.assert_allclose(first, second, rtol=1e-5)
