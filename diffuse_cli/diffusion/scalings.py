"""The scalings by name: what alpha and sigma are at a log-SNR. All describe one process in other coordinates."""

from diffuse_cli.diffusion import process
from diffuse_cli.diffusion.process import Scaling


def preserving() -> Scaling:
    """Variance preserving."""
    return process.variance_preserving


def exploding() -> Scaling:
    """Variance exploding."""
    return process.variance_exploding


def straight() -> Scaling:
    """The straight flow's."""
    return process.straight_flow


def sub_preserving() -> Scaling:
    """Sub-variance-preserving."""
    return process.sub_variance_preserving
