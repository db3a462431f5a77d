"""A training run with its log, held-out losses and checkpoints."""

import json
import math
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Array

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Dataset, equal_rows
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import Condition, drop
from diffuse_cli.diffusion.map_losses import MapLoss
from diffuse_cli.errors import DivergedError
from diffuse_cli.families.base import Family
from diffuse_cli.models import build, checkpoint, run_folder
from diffuse_cli.models.autoencoder import Autoencoder
from diffuse_cli.models.classifier import Classifier, not_a_denoiser, trained_classifier
from diffuse_cli.models.data import draw_data, margin_for, truth_of
from diffuse_cli.models.model import Model, trained_model
from diffuse_cli.models.teachers import PATHS, solved_paths, velocity_for
from diffuse_cli.networks.denoiser import Weights, split
from diffuse_cli.training import loop

_EVALUATIONS = 20  # held-out losses and checkpoints in a run, more of them at the start, where the loss falls
OVERFIT, _CHANCE = 1.05, 0.001  # a held-out loss so many times the best one, at this level of significance
_CHANCE_OF_BEST = 0.05  # the level at which earlier weights are better than later ones
_NO_ROWS = np.zeros(0, np.float32)
_DIVERGED = 1e4  # times the first loss: training does not recover from this


class Progress(NamedTuple):
    """What a progress bar shows at the end of a chunk; `held_out` is None where it was not computed."""

    step: int
    total: int
    loss: float
    held_out: float | None
    steps_per_second: float


class Best(NamedTuple):
    """The averaged weights of a run with the best held-out loss, but for chance, and their step."""

    step: int
    average: Weights


class Trainer:
    """A run in training. `run()` yields its Progress; between two of them `save()` can write a checkpoint at any time.

    budget: seconds to train for, in place of the number of steps in `config`. resume: an opened run to continue.
    teacher: of a student, the model whose flow it learns; a network that is its own teacher has one from the step
    `second_phase` on. After a run, `least` is the irreducible loss, and `true_loss` that of a flow map, where they are
    known.
    """

    def __init__(
        self,
        folder: Path,
        experiment: build.Experiment,
        dataset: Dataset,
        *,
        budget: float | None = None,
        resume: run_folder.Run | None = None,
        teacher: Model | None = None,
    ):
        if teacher is not None:
            experiment = experiment._replace(teacher=velocity_for(teacher))
        self.folder, self.experiment, self.dataset, self.budget = folder, experiment, dataset, budget
        self.config, self.teacher = experiment.config, teacher
        config = self.config
        self.data, self.law = draw_data(config, dataset), truth_of(dataset)
        self.low, self.high = (end(self.data.train, axis=0) for end in (np.min, np.max))
        self.state = loop.initial_state(self.experiment) if resume is None else _restore(self.experiment, resume)
        self.step, self.total = int(self.state.step), config.steps or 0  # `build_experiment` has set it
        self.best = math.inf if resume is None else resume.header.best
        self.best_rows = _NO_ROWS if resume is None else resume.tensors.get("held_out.best_rows", _NO_ROWS)
        self.seconds = 0.0 if resume is None else resume.header.seconds
        self.rows, self.margin = _NO_ROWS, margin_for(len(self.data.train))
        self.second_phase = None if resume is None else resume.header.second_phase
        self.loss = self.held_out = self.speed = math.nan
        self.first_loss: float | None = None
        self.least: float | None = None
        self.true_loss: float | None = None
        if resume is not None:
            # what was logged past the checkpoint will be logged again
            records = [record for record in run_folder.read_log(folder) if record["step"] <= self.step]
            run_folder.write_log(folder, records)

    def run(self) -> Iterator[Progress]:
        """Train to the end.

        Raises DivergedError where a loss is not finite or far above the first one, and leaves the last good checkpoint;
        DiffuseError where a file cannot be written.
        """
        irreducible, true_loss = None, None
        if self._knows_truth and self.law is not None:
            true_loss = loop.true_loss(self.experiment, self._points[1], self.law)
        if self._knows_least:
            irreducible = loop.irreducible_loss(self.experiment, self._points[1], self.law, self.laws_of_labels)
        before, began, evaluated, quarter = self.seconds, time.perf_counter(), -1, None
        run_folder.write_config(self.folder, self.config)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8", buffering=1) as log:
            for progress in self._fit():
                self.state, self.step, self.total = progress.state, progress.step, progress.total
                self.loss, self.speed = progress.loss, progress.steps_per_second
                self.seconds = before + time.perf_counter() - began
                self._check(progress.loss)
                record: dict[str, Any] = {"step": self.step, "loss": progress.loss, "seconds": round(self.seconds, 3)}
                held_out, due = None, math.floor(_EVALUATIONS * math.sqrt(progress.done))
                if due > evaluated:
                    least, chance = irreducible.result() if irreducible else (0.0, 0.0)
                    self.rows = np.asarray(self._judge(self.state.average))
                    held_out = self.held_out = float(self.rows.mean(dtype=np.float64)) - chance
                    self._check(held_out)  # the last update may have broken weights whose losses were still finite
                    record["held_out"] = held_out
                    if irreducible:
                        self.least = least
                        record["excess"] = held_out - least
                    if true_loss:
                        self.true_loss = record["true_loss"] = true_loss(self.state.average)
                log.write(json.dumps(record) + "\n")
                if held_out is not None:
                    now = math.floor(4 * progress.done)
                    self._checkpoint(held_out, quarter=quarter is not None and now > quarter)
                    evaluated, quarter = due, now
                yield Progress(self.step, self.total, progress.loss, held_out, progress.steps_per_second)
        if self.budget is not None:
            run_folder.write_config(self.folder, self.config)

    def _fit(self) -> Iterator[loop.ChunkEnd]:
        """The chunks of training; of a network that becomes its own teacher in two phases."""
        if self.experiment.family is not None and self.experiment.family.fit is not None:
            yield self._fit_at_once(self.experiment.family)
            return
        speed = self.step / self.seconds if self.seconds else None
        loss, began = self._map_loss, time.perf_counter()
        options: dict[str, Any] = {"total": self.total, "budget": self.budget, "speed": speed}
        share = loss.alone if loss and self.teacher is None else 0.0
        if loss and share and self.second_phase is None:
            first = self.experiment._replace(loss=loss._replace(diagonal=1.0, solved=None))
            options |= {"total": round(share * self.total), "budget": self.budget and share * self.budget}
            for end in loop.fit(first, self.state, self._points[0], **options):
                yield end._replace(total=max(end.total, self.total), done=share * end.done)
            self.state = self.state._replace(before=jax.tree.map(jnp.copy, self._used_weights()))
            self.second_phase = self.step
            self.best, self.best_rows = math.inf, _NO_ROWS  # the weights of the first phase cannot jump
            left = self.budget and self.budget - (time.perf_counter() - began)
            options = {"total": self.total, "budget": left}
        if share and self.state.before is not None:
            self._become_teacher(self.state.before)
        begin = self.second_phase or 0
        for end in loop.fit(self.experiment, self.state, self._points[0], begin=begin, **options):
            yield end if self.budget is None else end._replace(done=share + (1 - share) * end.done)

    def _fit_at_once(self, family: Family) -> loop.ChunkEnd:
        """The end of the only step of a family that is fitted at once; what the fit has chosen becomes a setting."""
        began = time.perf_counter()
        if family.fit is None:
            raise ValueError(f"{family.title} is trained in steps")
        fitted = family.fit(self.data.train, self.data.held_out, self.config.seed, self.budget)
        choice = catalog.parse("family", self.config.family)
        choice = choice._replace(options=choice.options | fitted.options)
        self.config = msgspec.structs.replace(self.config, family=str(choice))
        self.experiment = build.build_experiment(self.config, self.experiment.dim)
        weights = split(fitted.network)[1]
        self.state = loop.TrainState(jnp.int32(1), weights, weights, ())
        run_folder.write_config(self.folder, self.config)
        loss = float(self._judge(weights).mean())
        return loop.ChunkEnd(self.state, 1, 1, 1.0, loss, 1 / (time.perf_counter() - began))

    def _become_teacher(self, weights: Weights) -> None:
        """Make the network with these weights the teacher, and its paths the points to train on."""
        self.teacher = self._model_with(weights)
        self.experiment = self.experiment._replace(teacher=velocity_for(self.teacher))
        del self._points

    @cached_property
    def _judge(self) -> Callable[[Weights], Array]:
        """The loss of weights on each of the held-out rows."""
        return loop.held_out_function(self.experiment, self._points[1])

    @cached_property
    def _points(self) -> tuple[loop.Points, loop.Points]:
        """The points to train on and the held-out ones; for a conditional network with their conditions.

        For a classifier with their labels. For a student that learns from solved paths they are the ends of paths.
        """
        data, conditions = self.data, self.experiment.conditions
        told: tuple[Condition | None, Condition | None] = None, None
        if conditions is not None:
            labels = data.train_labels, data.held_out_labels
            told = labels if conditions.kind == "label" else (data.train_given, data.held_out_given)
        loss, held_out = self._map_loss, loop.Points(data.held_out, told[1])
        if not self.solves_paths:
            return loop.Points(data.train, told[0]), held_out
        if loss and loss.solved == "ends":  # its diagonal joins data with the noise they come from
            held_out = self._solved_points(told[1], len(data.held_out), 1)
        return self._solved_points(told[0], PATHS, 0), held_out

    @property
    def _map_loss(self) -> MapLoss | None:
        """The loss of a flow map; None for other networks."""
        return self.experiment.loss if isinstance(self.experiment.loss, MapLoss) else None

    @property
    def solves_paths(self) -> bool:
        """Whether paths of the teacher are solved before training."""
        loss = self._map_loss
        return self.teacher is not None and loss is not None and loss.solved is not None

    def solve_paths(self) -> None:
        """Solve the paths of the teacher; otherwise `run` does."""
        _ = self._points

    @property
    def has_excess(self) -> bool:
        """Whether the exact denoiser of the data is what the network should be: not where it learns another flow."""
        loss = self._map_loss
        denoises = self.experiment.family is None and (loss is None or loss.kind == "denoiser")
        return self.config.guidance is None and denoises

    @property
    def compares_weights(self) -> bool:
        """Whether a lower held-out loss means better weights."""
        return self.experiment.family is None or self.experiment.family.comparable

    def _solved_points(self, conditions: Condition | None, count: int, number: int) -> loop.Points:
        """The ends of `count` paths of the teacher, told the first of these conditions; `number`: of their seed."""
        if self.teacher is None:
            raise ValueError("paths are those of a teacher")
        seed, told = 2 * self.config.seed + number, None
        if conditions is not None:
            rows = jnp.asarray(conditions)[np.arange(count) % len(conditions)]
            told = np.asarray(drop(jax.random.key(seed), rows, self.config.label_dropout))
        path = solved_paths(self.teacher, told, count, seed)
        return loop.Points(path[:, -1, :-1], told, path)

    @property
    def laws_of_labels(self) -> list[exact.Law]:
        """The laws of the points with each label, for a conditional network or a classifier; none where unknown."""
        classes = self.dataset.classes
        if self.experiment.conditions is None or classes is None or classes.exact is None:
            return []
        return [classes.exact(label) for label in range(len(classes.shares))]

    @property
    def _knows_least(self) -> bool:
        """Whether the irreducible loss is known; that of a learned schedule changes with the schedule.

        Where columns or words are given, each point has a law of its own.
        """
        if self.config.classifier:
            return bool(self.laws_of_labels)
        conditions = self.experiment.conditions
        given = conditions is not None and conditions.kind != "label"
        return self.law is not None and not self.experiment.learns_schedule and not given and self.has_excess

    @property
    def _knows_truth(self) -> bool:
        """Whether the exact map is known, so that a flow map has a true loss."""
        loss = self._map_loss
        return loss is not None and loss.follows_flow and self.law is not None and self.has_excess

    def best_weights(self) -> Best:
        """The last averaged weights whose held-out loss is the lowest, but for chance.

        Raises DiffuseError where their file is damaged.
        """
        tensors, metadata = checkpoint.load_checkpoint(self.folder / run_folder.BEST)
        return Best(int(metadata["step"]), run_folder.average_of(self.experiment, tensors))

    def _used_weights(self) -> Weights:
        """The weights that commands open: the averaged ones as they are now; for a user's file, the best ones."""
        newest = self.dataset.points is None or not self.compares_weights
        return self.state.average if newest else self.best_weights().average

    def classifier(self) -> Classifier:
        """The classifier that commands open. Raises UsageError where the run is of a denoiser."""
        return trained_classifier(self.experiment, self._used_weights(), self.folder.name, self.dataset.standard)

    def model(self) -> Model:
        """The denoiser that commands open. Raises UsageError where the run is of a classifier."""
        if self.config.classifier:
            raise not_a_denoiser(self.folder.name)
        return self._model_with(self._used_weights())

    def _model_with(self, weights: Weights) -> Model:
        """The denoiser with these weights."""
        experiment = build.with_learned_schedule(self.experiment, weights)
        return trained_model(
            experiment._replace(config=self.config),
            weights,
            folder=self.folder,
            dataset=lambda: self.dataset,
            standard=self.dataset.standard,
            view=self.dataset.view,
            columns=self.dataset.column_names,
            box=(self.low, self.high),
            margin=self.margin,
            autoencoder=self.autoencoder,
        )

    @property
    def autoencoder(self) -> Autoencoder | None:
        """The autoencoder whose latents are the data, of a latent run; None for all others."""
        latent = self.dataset.latent
        return latent.encoder if latent is not None and isinstance(latent.encoder, Autoencoder) else None

    def overfits(self) -> bool:
        """Whether the held-out loss is above that of the best weights, by more than chance among the held-out rows.

        A paired t-test of the mean loss of each row, at a level of 0.1 %, since the best of many was chosen; it also
        has to be 5 % higher. One row alone shows nothing.
        """
        if not self.compares_weights or not self.held_out > OVERFIT * self.best:
            return False
        return self._is_higher(self.rows, np.asarray(self._judge(self.best_weights().average)), level=_CHANCE)

    def save(self, file: str = run_folder.NEWEST) -> None:
        """Write a checkpoint of the present state. Raises DiffuseError where it cannot be written.

        With a budget, the number of steps so far becomes the setting `steps`, to which a resumed run continues.
        """
        if self.budget is not None:
            self.config = msgspec.structs.replace(self.config, steps=max(self.step, self.total))
        run_folder.save_run(
            self.folder / file,
            self.state,
            self.config,
            standard=self.dataset.standard,
            view=self.dataset.view,
            columns=self.dataset.column_names,
            low=self.low,
            high=self.high,
            best_rows=self.best_rows,
            conditions=self.experiment.conditions,
            autoencoder=self.autoencoder,
            metadata={
                "step": str(self.step),
                "best": repr(self.best),
                "seconds": repr(self.seconds),
                "margin": repr(self.margin),
                **({} if self.second_phase is None else {"second_phase": str(self.second_phase)}),
            },
        )

    def _checkpoint(self, held_out: float, *, quarter: bool) -> None:
        lowest = held_out < self.best
        if lowest:
            self.best, self.best_rows = held_out, self.rows
        if self.compares_weights and (lowest or self._is_within_error()):
            self.save(run_folder.BEST)
        if quarter and self.step < self.total:  # a few on the way, to show how the model learns
            self.save(f"checkpoint-{self.step}.safetensors")
        self.save()

    def _is_within_error(self) -> bool:
        """Whether the held-out loss may be the lowest one but for chance, by a paired t-test of the held-out rows.

        Among few rows the lowest loss is a chance, and may be that of a network that has hardly been trained. Equal
        rows count once. One row alone shows nothing.
        """
        if len(self.best_rows) != len(self.rows):  # of an older checkpoint
            return False
        return not self._is_higher(self.rows, self.best_rows, level=_CHANCE_OF_BEST)

    def _is_higher(self, rows: np.ndarray, others: np.ndarray, *, level: float) -> bool:
        """Whether the losses [m] of the held-out rows are higher than others [m] at a level of significance."""
        from scipy.special import stdtrit

        group, sizes = equal_rows(self.data.held_out[: len(rows)])
        apart = np.bincount(group, np.asarray(rows, np.float64) - others) / sizes
        if len(apart) < 2:
            return False
        error = apart.std(ddof=1) / math.sqrt(len(apart))
        return bool(apart.mean() > stdtrit(len(apart) - 1, 1 - level) * error)

    def _check(self, loss: float) -> None:
        self.first_loss = loss if self.first_loss is None else self.first_loss
        if not math.isfinite(loss) or abs(loss) > _DIVERGED * max(1.0, abs(self.first_loss)):
            has_checkpoint = (self.folder / run_folder.NEWEST).is_file()
            raise DivergedError(
                f"training diverged: the loss is {loss:g} at step {self.step}. "
                f"Try a smaller --lr than {self.config.lr:g}. "
                + (
                    f"The last good checkpoint is kept in {self.folder}."
                    if has_checkpoint
                    else "There is no checkpoint yet."
                )
            )


def _restore(experiment: build.Experiment, run: run_folder.Run) -> loop.TrainState:
    template = jax.eval_shape(lambda: loop.initial_state(experiment))
    parts = {name: checkpoint.restore(getattr(template, name), run.tensors, name) for name in template._fields}
    return loop.TrainState(**parts)
