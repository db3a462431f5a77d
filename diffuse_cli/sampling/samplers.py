"""The old address of `diffuse_cli.samplers.base`."""

import warnings

from diffuse_cli.samplers.base import Adaptive, Sampler, State, Step, standard_normal, without_scale

__all__ = ["Adaptive", "Sampler", "State", "Step", "normal", "standard_normal", "without_scale"]

normal = standard_normal

warnings.warn(
    "diffuse_cli.sampling.samplers is now diffuse_cli.samplers.base; the old name goes with the next release",
    FutureWarning,
    stacklevel=2,
)
