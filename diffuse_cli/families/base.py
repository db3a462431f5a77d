"""Family: what training and the commands know of a kind of generative model that has no noise levels."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

Points = Float[Array, "n d"]
PerPoint = Float[Array, " n"]


class Size(NamedTuple):
    """How large a network is: the number of columns of its data, and the width and number of its hidden layers."""

    dim: int
    width: int
    depth: int


class Standards(NamedTuple):
    """Settings that suit the networks of a family, where the user gives no others.

    most_weight_decay: for few rows; less than a denoiser has where the model has another guard against overfitting.
    """

    width: int = 64
    depth: int = 3
    batch_size: int = 256
    steps: int = 24_000
    lr: float = 2e-3
    most_weight_decay: float = 10.0


class Family(NamedTuple):
    """A kind of generative model. All points are in model space, where data have unit variance.

    title: what it is, for messages: "a generative adversarial network (GAN)".
    network: (Size, rngs) -> the network, or networks, as one NNX module whose Params are all that is trained.
    losses: (network, x0 [n, d], key, progress in [0, 1]) -> [n], whose mean is minimised over all Params.
    draw: (network, key, n) -> samples [n, d].
    log_prob: (network, x [n, d]) -> log p(x) [n] in nats, exact; None for a family that cannot give it. compiled:
        whether it is a function of JAX; otherwise one of numpy, which is not compiled as a whole. most: the number of
        points at most that it judges where the user does not say how many, if each is costly.
    by_column: whether a draw takes a pass through the network for each column, and not one.
    no_density: why not, as a clause: "a GAN draws samples, and …".
    judged: (network, x0 [n, d], key) -> [n], the loss of held-out points by which weights are compared; None: `losses`
        at progress 1.
    fit: (training points [n, d], held-out points [m, d], seed, seconds or None) -> Fitted; for a family that is fitted
        at once in place of being trained in steps; None for all others.
    standards: the settings that suit its networks.
    """

    title: str
    network: Callable[[Size, nnx.Rngs], nnx.Module]
    draw: Callable[[Any, PRNGKeyArray, int], Points]
    losses: Callable[[Any, Points, PRNGKeyArray, Float[Array, ""]], PerPoint] | None = None
    log_prob: Callable[[Any, Points], PerPoint] | None = None
    no_density: str = ""
    judged: Callable[[Any, Points, PRNGKeyArray], PerPoint] | None = None
    fit: "Callable[[Any, Any, int, float | None], Fitted] | None" = None
    standards: Standards = Standards()
    compiled: bool = True
    most: int | None = None
    by_column: bool = False


class Fitted(NamedTuple):
    """What fitting at once has found.

    options: those of the family's choice that the fit has settled, like the number of components; with them
    `Family.network` builds a network of the same shapes as `network`.
    """

    options: dict[str, str]
    network: nnx.Module


def surprise(network: Any, x: Points, _key: PRNGKeyArray, _progress: Float[Array, ""]) -> PerPoint:
    """−log p(x) [n], the `losses` of a network that knows its density as `log_prob`."""
    log_p: PerPoint = network.log_prob(x)
    return -log_p


def diffusion() -> None:
    """Diffusion itself, the family that all the rest of `diffuse` is about: it needs no Family.

    >>> diffusion() is None
    True
    """
