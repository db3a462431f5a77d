"""The exact flow that a model should have, beside which its jumps and its samples are judged one by one."""

import jax

from diffuse_cli.datasets.dataset import Part
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.errors import UsageError
from diffuse_cli.models.data import truth_of
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.guided import Guide, guided
from diffuse_cli.models.model import Model


def exact_flow_of(model: Model) -> Predict | None:
    """The exact denoiser of the model's data; of a student that has learned a guidance, the guided exact denoiser.

    That of a guided model is not the denoiser of the law π_w which it is said to sample, and has another flow. None
    where the law is unknown, for a guided model that is no student, and for a guidance that needs a run.
    """
    dataset = model.dataset()
    if model.config.guidance is None or not model.trained:
        law = None if model.guiding is not None else truth_of(dataset)
        return None if law is None else jax.tree_util.Partial(exact.denoiser(law))
    whole = dataset.part.of if isinstance(dataset.part, Part) else dataset
    if truth_of(whole) is None:
        return None
    try:
        twin = exact_model(model.config, whole, model.folder, process=model.process)
        taught = guided(twin, model.config.guidance, open_guide=_no_guide)
        return taught.predict if model.told is None else taught.with_label(model.told).predict
    except UsageError:  # its guide is a run
        return None


def _no_guide(name: str) -> Guide:
    raise UsageError(f"{name} is a run, whose flow is not exact")
