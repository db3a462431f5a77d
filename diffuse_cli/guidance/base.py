"""What a guidance is: a rule that makes one denoiser of two, and what a caller has to know to use it.

The scale w has one meaning for all of them: u + w (c − u), where c is the conditional and u the unconditional denoiser.
So w = 1 is the conditional one, w = 0 the unconditional one, and the law that w > 1 is said to sample is

    π_w(x) ∝ p(x | c)^w p(x)^(1 − w).

Ho & Salimans 2022 write (1 + w) c − w u: their w is this w − 1.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import UsageError
from diffuse_cli.samplers.base import Adaptive, Sampler

# Below 0 the law π_w need not exist: p(x)^(1 − w) p(x | c)^w has no finite mass if p(x | c) has the lighter tails.
Scale = Annotated[float, Meta(ge=0, le=100)]
Needs = Literal["unconditional", "guide", "classifier"]
Rule = Callable[..., Prediction]  # (*numbers, first, second, x, level) -> Prediction; a function of a module
LogProb = Callable[[Float[Array, "n d"], Level], Float[Array, " n"]]  # log p(label | x) at a level, in nats


class Guidance(NamedTuple):
    """How two denoisers become one.

    name: for messages. combine: makes the guided denoiser of two pytrees (jax.tree_util.Partial). Weights and scales
        are leaves of the result, so another w compiles nothing. It gets the halves that `needs` names:
        "unconditional": (conditional Predict, unconditional Predict)
        "guide": (Predict, Predict of the guide)
        "classifier": (unconditional Predict, LogProb of the label)
    w: the scale of the law π_w that it is said to sample; None where it claims no such law.
    needs: what its second half is (for "classifier" the first is unconditional).
    guide: the name of the run that is the guide, or the classifier; None where it needs no run.
    weighted: whether its predictions have a log-weight, so that only samplers with particles can use it. Clipping x0
        would make these weights wrong.
    samplers: the names of the samplers that it is made for; empty for all of them.
    evaluations: of networks in one call of the guided denoiser.

    >>> from diffuse_cli.guidance.classifier_free import cfg
    >>> cfg(w=3).w, cfg(w=3).needs, cfg(w=3).evaluations
    (3, 'unconditional', 2)
    """

    name: str
    combine: Callable[[Predict, Any], Predict]
    w: float | None
    needs: Needs = "unconditional"
    guide: str | None = None
    weighted: bool = False
    samplers: tuple[str, ...] = ()
    evaluations: int = 2


def guidance_text(text: str) -> str:
    """The choice of guidance that a text names: a number alone is the scale of `cfg`.

    >>> guidance_text("3"), guidance_text(" 1.5"), guidance_text("fkc:w=2")
    ('cfg:w=3', 'cfg:w=1.5', 'fkc:w=2')
    """
    text = text.strip()
    try:
        float(text)
    except ValueError:
        return text
    return f"cfg:w={text}"


def check_sampler(guidance: Guidance, chosen: str, sampler: Sampler | Adaptive) -> None:
    """Raise UsageError if the sampler, chosen by this text, cannot use the guidance; the message names those that can.

    >>> from diffuse_cli.guidance.corrected import fkc
    >>> from diffuse_cli.samplers.ddim import ddim
    >>> check_sampler(fkc(w=2), "ddim", ddim())
    Traceback (most recent call last):
    diffuse_cli.errors.UsageError: fkc gives each particle a weight, and ddim has no weights; give --sampler particles
    """
    if guidance.weighted and not sampler.weighted:
        fitting = guidance.samplers[0] if guidance.samplers else "particles"
        raise UsageError(
            f"{guidance.name} gives each particle a weight, and {chosen} has no weights; give --sampler {fitting}"
        )
    name = chosen.partition(":")[0].strip().replace("-", "_")
    if guidance.samplers and name not in guidance.samplers:
        raise UsageError(
            f"{guidance.name} is made for the steps of some samplers, and {chosen} has others; give --sampler "
            f"{' or '.join(guidance.samplers)}"
        )


def denoiser_of(rule: Rule, numbers: tuple[float, ...], first: Predict, second: Any) -> Predict:
    """rule(*numbers, first, second, x, level) as a denoiser whose leaves are the numbers and the weights of both."""
    return jax.tree_util.Partial(rule, *map(float, numbers), first, second)


def mixed(conditional: Prediction, unconditional: Prediction, w: Float[ArrayLike, "*rows"]) -> Prediction:
    """u + w (c − u) of x0 and of eps; w is a number or [n, 1]. At w = 1 it is c, bit for bit."""
    x0, eps = (c + (w - 1) * (c - u) for c, u in zip(conditional[:2], unconditional[:2], strict=True))
    return Prediction(x0, eps)


def moved(prediction: Prediction, shift: Float[Array, "n d"], level: Level) -> Prediction:
    """The prediction with `shift` added to its x0, and with the eps that belongs to the same x."""
    return Prediction(prediction.x0 + shift, prediction.eps - level.alpha / level.sigma * shift)
