"""How a model is sampled from: which sampler goes with which grid and model."""

from contextlib import nullcontext

import jax
import numpy as np
import pytest

from diffuse_cli.config import Config
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.errors import UsageError
from diffuse_cli.models.build import build_dataset, build_process
from diffuse_cli.models.draw import Method, build_method, draw_samples
from diffuse_cli.models.exact_model import exact_model
from tests.samplers.table import SAMPLERS


def test_every_sampler_has_a_method_on_its_grid(tmp_path):
    config = Config(dataset="bimodal")
    model = exact_model(config, build_dataset(config), tmp_path, process=build_process(config))
    errors = {}
    for name in SAMPLERS:
        try:
            sampler, levels = build_method(model, Method(name, "log_snr", 5))
            assert sampler.cost(5) >= 5 if hasattr(sampler, "cost") else sampler.tolerance > 0
            assert levels.log_snr.shape == (6,)
        except Exception as error:
            errors[name] = repr(error)
    assert not errors


@pytest.mark.parametrize(("margin", "clipped"), [(0.0, True), (5.0, False)])
def test_samples_that_the_clip_has_touched_are_counted(margin, clipped, tmp_path):
    config = Config(dataset="bimodal")
    exact = exact_model(config, build_dataset(config), tmp_path, process=build_process(config))
    model = exact._replace(box=(np.float32([-0.9]), np.float32([0.9])), margin=margin)
    drawn = draw_samples(model, Method("ddim", "uniform", 5), 200, 0)
    samples = model.standard.to_model(drawn.samples)
    assert drawn.clipped == (np.abs(np.abs(samples) - 0.9) < 1e-6).sum()
    assert (drawn.clipped > 0, drawn.many_clipped, drawn.clipped_note() is not None) == (clipped,) * 3
    assert np.abs(samples).max() <= 0.9 + margin + 1e-6


def test_a_model_that_has_diverged_does_not_look_tame(tmp_path):
    """All of its samples are on a wall, and this is told."""
    config = Config(dataset="bimodal")
    exact = exact_model(config, build_dataset(config), tmp_path, process=build_process(config))
    far = jax.tree_util.Partial(lambda x, level: Prediction(1e4 * x, x))
    drawn = draw_samples(
        exact._replace(predict=far, box=(np.float32([-1]), np.float32([1]))), Method("ddim", "uniform", 5), 200, 0
    )
    assert drawn.clipped == 200
    assert "not trained enough, or diverged" in drawn.clipped_note()


def test_a_model_of_one_jump_is_asked_for_no_other(tmp_path):
    config = Config(dataset="bimodal")
    exact = exact_model(config, build_dataset(config), tmp_path, process=build_process(config))
    single = exact._replace(follows_flow=False, jumps="whole")
    for name in ("jump", "renoise"):
        for model, steps, refused in ((exact, 2, False), (single, 1, False), (single, 2, True)):
            with pytest.raises(UsageError, match="give --steps 1") if refused else nullcontext():
                build_method(model, Method(name, "uniform", steps))
    build_method(single, Method("dpmpp_2m", "uniform", 5))  # its denoiser takes any number
