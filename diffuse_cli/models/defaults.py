"""Settings that are not given: what suits a denoiser, a flow map, and a file of few rows."""

from typing import NamedTuple

import msgspec

from diffuse_cli.config import FIELDS, Config
from diffuse_cli.diffusion.losses import Loss
from diffuse_cli.diffusion.map_losses import Jumps, MapLoss
from diffuse_cli.families.base import Family

_ROWS = 50_000  # a file of fewer rows has fewer steps, by a cube root
_WEIGHT_DECAY, _STRONGEST = 0.01, 10.0  # for data without limit, and for the fewest rows
LATENT_WEIGHT_DECAY = 0.1  # at most, of diffusion in a latent space; docs/latent.md says how it was chosen
_DECAY_ROWS = 150.0  # weight decay times rows, for each column


class Defaults(NamedTuple):
    """Settings of one kind of network; docs/architecture.md and docs/few-steps.md say how they were chosen."""

    width: int
    depth: int
    batch_size: int
    steps: int
    lr: float
    prediction: str
    sampler: str
    sampler_steps: int
    most_weight_decay: float = _STRONGEST


DENOISER = Defaults(64, 3, 256, 24_000, 5e-3, "v", "dpmpp_2m", 50)
FLOW_MAP = Defaults(96, 4, 512, 12_000, 3e-3, "velocity", "jump", 4)
CONSISTENCY = FLOW_MAP._replace(sampler="renoise")  # of jumps to clean data only
GENERATOR = DENOISER._replace(prediction="velocity", sampler="jump", sampler_steps=1)  # of the one jump from noise
OF_JUMPS: dict[Jumps, Defaults] = {"any": FLOW_MAP, "to_clean": CONSISTENCY, "whole": GENERATOR}


def defaults_of(loss: Loss | MapLoss, family: Family | None = None) -> Defaults:
    """The Defaults of the networks that a loss trains, or of those of a family."""
    if family is not None:
        steps = family.standards.steps if family.fit is None else 1
        return DENOISER._replace(**family.standards._replace(steps=steps)._asdict())
    return OF_JUMPS[loss.jumps] if isinstance(loss, MapLoss) else DENOISER


def layers_of(config: Config, default: Defaults, dim: int) -> tuple[int, int]:
    """The width and the number of hidden layers for data of `dim` columns.

    Predicting v or eps means passing on all the noise, so that layers are wider than the data.

    >>> layers_of(Config(), DENOISER, 2), layers_of(Config(), FLOW_MAP, 64)
    ((64, 3), (128, 4))
    """
    return config.width or max(default.width, 2 * dim), config.depth or default.depth


def with_defaults(
    config: Config, default: Defaults, dim: int, *, rows: int | None = None, different: int | None = None
) -> Config:
    """The Config with everything set that it leaves open, for data of `dim` columns.

    rows, different: the numbers of rows of a file to train on, and of different ones among them; None for data without
    limit.

    >>> with_defaults(Config(), FLOW_MAP, 2).sampler
    'jump'
    """
    width, depth = layers_of(config, default, dim)
    chosen = config.prediction != FIELDS["prediction"].default
    return msgspec.structs.replace(
        config,
        width=width,
        depth=depth,
        batch_size=config.batch_size or min(default.batch_size, rows or default.batch_size),
        steps=config.steps or (1 if default.steps == 1 else steps_for(different, default.steps)),
        lr=config.lr or default.lr,
        weight_decay=min(weight_decay_for(different, dim), default.most_weight_decay)
        if config.weight_decay is None
        else config.weight_decay,
        prediction=config.prediction if chosen else default.prediction,
        sampler=config.sampler or (default.sampler if config.diffuses else None),  # other families have none
        sampler_steps=config.sampler_steps or (default.sampler_steps if config.diffuses else None),
    )


def steps_for(rows: int | None, most: int = DENOISER.steps) -> int:
    """The default number of optimiser steps for a file of so many different training rows; None: data without limit.

    It grows like the cube root of the rows, to three digits: fewer rows have less detail that can be learnt.

    >>> steps_for(27), steps_for(720), steps_for(None)
    (1950, 5840, 24000)
    """
    if rows is None or rows >= _ROWS:
        return most
    return int(float(f"{most * (rows / _ROWS) ** (1 / 3):.3g}"))


def weight_decay_for(rows: int | None, dim: int) -> float:
    """The default weight decay for a file of so many different training rows and columns; None: data without limit.

    Its product with the rows is constant, as that of the weight of a prior beside the likelihood of the data is; more
    columns leave more to learn by heart.

    >>> weight_decay_for(20, 2), weight_decay_for(750, 2), weight_decay_for(750, 5), weight_decay_for(None, 2)
    (10.0, 0.4, 1.0, 0.01)
    """
    if rows is None:
        return _WEIGHT_DECAY
    return float(f"{min(_STRONGEST, max(_WEIGHT_DECAY, _DECAY_ROWS * dim / rows)):.3g}")
