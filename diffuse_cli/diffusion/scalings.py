"""The scalings by name: alpha and sigma as functions of log-SNR. All describe the same process in other coordinates."""

from diffuse_cli.diffusion import process
from diffuse_cli.diffusion.process import Scaling


def preserving() -> Scaling:
    """Variance preserving: alpha^2 + sigma^2 = 1. Ho et al. 2020.

    >>> import jax.numpy as jnp
    >>> [round(float(value), 3) for value in preserving()(jnp.array(0.0))]
    [0.707, 0.707]
    """
    return process.variance_preserving


def exploding() -> Scaling:
    """Variance exploding: alpha = 1. Song & Ermon 2019; Karras et al. 2022.

    >>> import jax.numpy as jnp
    >>> [round(float(value), 3) for value in exploding()(jnp.array(0.0))]
    [1.0, 1.0]
    """
    return process.variance_exploding


def straight() -> Scaling:
    """The straight path from data to noise: alpha + sigma = 1. Lipman et al. 2023.

    >>> import jax.numpy as jnp
    >>> [round(float(value), 3) for value in straight()(jnp.array(0.0))]
    [0.5, 0.5]
    """
    return process.straight_flow


def sub_preserving() -> Scaling:
    """Sub-variance-preserving: sigma = 1 - alpha^2. Song et al. 2021, eq. 14.

    >>> import jax.numpy as jnp
    >>> [round(float(value), 3) for value in sub_preserving()(jnp.array(0.0))]
    [0.618, 0.618]
    """
    return process.sub_variance_preserving
