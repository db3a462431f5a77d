"""How a model is sampled from: which sampler goes with which grid and model."""

from diffuse_cli.config import Config
from diffuse_cli.models.build import build_dataset, build_process
from diffuse_cli.models.draw import Method, build_method
from diffuse_cli.models.model import exact_model
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
