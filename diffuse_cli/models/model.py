"""A model is what can be sampled from and evaluated: the denoiser of a trained run, or the exact one of a dataset."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset, Standardiser, with_label
from diffuse_cli.datasets.given import with_given
from diffuse_cli.diffusion.conditions import Condition, Conditions, Given
from diffuse_cli.diffusion.denoisers import Predict, clipped
from diffuse_cli.diffusion.flow_maps import Jump, clipped_jump
from diffuse_cli.diffusion.losses import Kind
from diffuse_cli.diffusion.map_losses import Jumps, MapLoss
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Process
from diffuse_cli.errors import UsageError, unknown
from diffuse_cli.files import plain_name
from diffuse_cli.guidance.base import Guidance
from diffuse_cli.models import build, run_folder, telling
from diffuse_cli.models.autoencoder import Autoencoder, autoencoder_of_run
from diffuse_cli.models.classifier import not_a_denoiser
from diffuse_cli.models.direct import Direct, direct_of_family, no_denoiser
from diffuse_cli.models.run_folder import Run
from diffuse_cli.models.tilted import said_to_sample
from diffuse_cli.networks.denoiser import Weights, conditional_jumper, conditional_predictor, jumper, predictor

_ALL_LABELS = ", all labels"


class Guiding(NamedTuple):
    """How a model is guided: the choice as text, for titles, and what it stands for."""

    text: str
    guidance: Guidance


def _the_part(part: Dataset, whole: Dataset) -> Dataset:
    return part


class Model(NamedTuple):
    """A denoiser, and all that is needed to draw samples from it and to show them.

    name: for titles. folder: where its samples and figures go.
    dataset: opens its data; raises DiffuseError where a user's file is missing or has changed.
    predict: the denoiser, in model space.
    columns: the names [d] of the columns of its data.
    box: the lowest and the highest coordinates [d] of the training points; None for an exact denoiser.
    margin: how far outside of the box an x0 may lie when samples are drawn, model space (`data.margin_for`).
    predict_with_variance: the denoiser with x0_var; None where it does not know it.
    kind: "denoiser"; or "flow" where `predict` is only the velocity of a flow, and not a posterior mean.
    conditions: what it can be told; None for a model that cannot be told anything, or has been told.
    given: for a model with conditions, condition -> the denoiser that is told it; `predict` is not told any.
    told: what it has been told, in words, and share: that of a label. told_values: those of given columns, by name.
    each_row: whether samples are told a label each, in their true proportions (`with_all_labels`); then `predict`,
    which is told none, does not draw them. guiding: its guidance (`models.guided`). sampled, sampled_given: of a guided
    model, the denoiser that draws samples, whose halves are clipped, and not what is made of them. aim: (the data that
    what it is told is true of, all data) -> the data of the model that is told it. jump: its flow map, which a student
    has learned and an exact model solves for; None where it has none. jump_given: a condition -> the Jump that is told
    it. follows_flow: whether `jump` is meant to be that of the flow. jumps: which jumps it has learned (`Jumps`).
    direct: of a model that draws without a denoiser; then `predict` only says so. autoencoder: of a VAE, and of a
    latent model. plane: of a latent model that is decoded (`models.latent`), the same one in its latent space.
    """

    name: str
    folder: Path
    config: Config
    dataset: Callable[[], Dataset]
    process: Process
    parameterization: Parameterization
    standard: Standardiser
    view: str
    columns: tuple[str, ...]
    predict: Predict
    box: tuple[np.ndarray, np.ndarray] | None = None
    predict_with_variance: Predict | None = None
    kind: Kind = "denoiser"
    margin: float = 0.0
    conditions: Conditions | None = None
    given: Given | None = None
    given_with_variance: Given | None = None
    told: str | None = None
    told_values: Mapping[str, float] | None = None
    share: float = 1.0
    each_row: bool = False
    guiding: Guiding | None = None
    sampled: Predict | None = None
    sampled_given: Given | None = None
    aim: Callable[[Dataset, Dataset], Dataset] = _the_part
    jump: Jump | None = None
    jump_given: Callable[[Condition], Jump] | None = None
    follows_flow: bool = True
    jumps: Jumps = "any"
    direct: Direct | None = None
    autoencoder: Autoencoder | None = None
    plane: "Model | None" = None

    @property
    def is_student(self) -> bool:
        """Whether it is a network that has learned to jump."""
        return self.trained and self.jump is not None

    @property
    def trained(self) -> bool:
        """Whether the denoiser is a network, and not an exact one."""
        return self.box is not None

    @property
    def is_exact(self) -> bool:
        """Whether the denoiser is that of the law of its data: exact, and not guided."""
        return not self.trained and self.guiding is None

    @property
    def has_flow(self) -> bool:
        """Whether its samples have the law that its flow carries noise to: not for particles with weights."""
        return self.direct is None and (self.guiding is None or not self.guiding.guidance.weighted)

    @property
    def has_density(self) -> bool:
        """Whether the density of its samples can be computed."""
        return self.has_flow if self.direct is None else self.direct.log_prob is not None

    def check_density(self) -> None:
        """Raises UsageError for particles with weights, of which no flow gives the density, and where none is known."""
        if self.direct is not None:
            self.direct.density(self.name)
        elif not self.has_flow and self.guiding is not None:
            raise UsageError(
                f"{self.guiding.text} draws particles with weights, and no flow gives their density; `diffuse sample` "
                "draws them, and `diffuse evaluate` compares them with their law"
            )

    @property
    def suffix(self) -> str:
        """What the names of its files say of what it has been told: "-left", or nothing."""
        told = ["all" if self.each_row else self.told, self.guiding and self.guiding.text]
        return "".join(f"-{plain_name(each)}" for each in told if each)

    @property
    def dim(self) -> int:
        """The number of columns of the data."""
        return len(self.standard.mean)

    @property
    def walls(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The lowest and the highest coordinates [d] of samples: the box with its margin; None without a box."""
        if self.box is None:
            return None
        low, high = (np.asarray(end, np.float32) for end in self.box)
        return low - np.float32(self.margin), high + np.float32(self.margin)

    def on_walls(self, samples: np.ndarray) -> int:
        """How many of these samples [n, d], model space, the clip of `for_sampling` has moved onto a wall."""
        if self.walls is None or self.guiding is not None:
            return 0
        low, high = self.walls
        return int(((samples <= low) | (samples >= high)).any(axis=1).sum())

    def with_label(self, name: str) -> "Model":
        """The model of the points with this label, told it: again a Model, whose data are those points.

        Raises UsageError for a model without labels, or without this one.
        """
        if self.conditions is None or self.given is None or self.conditions.kind != "label":
            raise UsageError(telling.cannot_be_told(self, "label"))
        if name not in self.conditions.names:
            raise unknown(f"label of {self.name}", name, self.conditions.names)
        number = self.conditions.number(name)
        told = self._told(lambda whole: with_label(whole, number), np.array(number, np.int32), name)
        return told._replace(share=self.conditions.shares[number])

    def with_all_labels(self) -> "Model":
        """The model whose samples are told a label each, in their true proportions.

        Raises UsageError for a model without labels, and for particles with weights, which replace each other.
        """
        if self.conditions is None or self.conditions.kind != "label":
            raise UsageError(telling.cannot_be_told(self, "label"))
        if self.guiding is not None and self.guiding.guidance.weighted:
            raise UsageError(f"the particles of {self.guiding.text} are of one law; give one --label")
        return self._replace(name=f"{self.name}{_ALL_LABELS}", each_row=True)

    def with_each_label(self) -> "list[Model]":
        """The model told each of its labels, one after the other. Raises UsageError for a model without labels."""
        if self.conditions is None or self.conditions.kind != "label":
            raise UsageError(telling.cannot_be_told(self, "label"))
        shares = zip(self.conditions.names, self.conditions.shares, strict=True)
        return [self.with_label(name) for name, share in shares if share > 0]

    def with_given(self, values: Mapping[str, float]) -> "Model":
        """The model told these values of its given columns, data units: again a Model, whose data are p(x | values).

        Of a file its data are the rows nearest to them. Raises UsageError for a model without given columns, for a
        column that is unknown or missing, and for values that no point has.
        """
        if self.conditions is None or self.given is None or self.conditions.kind != "columns":
            raise UsageError(telling.cannot_be_told(self, "columns"))
        row, told = telling.row_of_values(values, self.conditions, self.name)
        condition = self.conditions.to_model(row)
        return self._told(lambda whole: with_given(whole, row, told), condition, told)._replace(
            told_values=dict(values)
        )

    def with_prompt(self, sentence: str) -> "Model":
        """The model told a sentence: again a Model, whose data are the points of which it is true.

        Raises UsageError for a model without words, for an unknown word, and for words that exclude each other.
        """
        if self.conditions is None or self.given is None or self.conditions.kind != "words":
            raise UsageError(telling.cannot_be_told(self, "words"))
        words, told = telling.words_of_sentence(sentence, self.conditions, self.name)
        return self._told(lambda whole: with_given(whole, words, told), words, told)

    def _told(self, part_of: Callable[[Dataset], Dataset], condition: Condition, told: str) -> "Model":
        """The model told a condition, in words `told`, which is true of a part of its data."""
        if self.given is None:
            raise UsageError(telling.cannot_be_told(self, "columns"))

        def dataset() -> Dataset:
            whole = self.dataset()  # once, since a user's file is read
            return self.aim(part_of(whole), whole)

        return self._replace(
            name=f"{self.name.removesuffix(_ALL_LABELS)}, {told}",
            dataset=dataset,
            predict=self.given(condition),
            sampled=self.sampled_given and self.sampled_given(condition),
            predict_with_variance=self.given_with_variance and self.given_with_variance(condition),
            jump=self.jump_given(condition) if self.jump_given else self.jump,
            jump_given=None,
            conditions=None,
            given=None,
            given_with_variance=None,
            told=told,
            each_row=False,
        )

    def labels_of_rows(self, rows: int) -> np.ndarray | None:
        """The names [rows] of the labels that so many samples are told; None where they are told none."""
        if self.told is not None:
            return None if self.told_values is not None else np.full(rows, self.told)
        if not self.each_row or self.conditions is None:
            return None
        names: np.ndarray = np.array(self.conditions.names)[self.conditions.rows(rows)]
        return names

    def for_sampling(self, rows: int, *, first: int | None = None, variance: bool = False) -> Predict:
        """The denoiser of so many samples together, or of the `first` of them, with its x0 clipped to the `walls`.

        With `variance` it gives x0_var too.

        An exact x0 is hardly ever outside of them. Likelihoods are those of the denoiser without clipping. Raises
        UsageError where the variance is unknown.
        """
        given = self.given_with_variance if variance else self.sampled_given or self.given
        predict = self.predict_with_variance if variance else self.sampled or self.predict
        if self.each_row and self.conditions is not None:
            predict = given and given(self.conditions.rows(rows)[:first])
        if predict is None:
            raise UsageError(f"{self.name} does not know how uncertain x0 is (it takes --variance learned)")
        return predict if self.walls is None or self.guiding is not None else clipped(predict, *self.walls)

    def jump_for_sampling(self, rows: int) -> Jump:
        """The Jump of so many samples together, with what it takes for clean samples clipped to the `walls`.

        Raises UsageError for a model that has not learned to jump.
        """
        jump = self.jump
        if self.each_row and self.conditions is not None and self.jump_given is not None:
            jump = self.jump_given(self.conditions.rows(rows))
        if jump is None:
            raise UsageError(f"{self.name} has not learned to jump; diffuse distill makes a student of it that has")
        return jump if self.walls is None else clipped_jump(jump, *self.walls)


def model_of_run(run: Run, *, trust: bool = True) -> Model:
    """The trained denoiser of a run. `trust` allows its dataset to be a user's own code.

    Raises UsageError for the run of a classifier.
    """
    if run.config.classifier:
        raise not_a_denoiser(run.name)
    return trained_model(
        run.experiment._replace(config=run.config),
        run.average(),
        folder=run.folder,
        dataset=lambda: run_folder.dataset_of_run(run, trust=trust),
        standard=run.standard,
        view=run.header.view,
        columns=run.header.columns,
        box=(run.low, run.high),
        margin=run.header.margin,
        autoencoder=run.autoencoder or (autoencoder_of_run(run) if run.is_vae else None),
    )


def trained_model(
    experiment: build.Experiment,
    weights: Weights,
    *,
    folder: Path,
    dataset: Callable[[], Dataset],
    standard: Standardiser,
    view: str,
    columns: tuple[str, ...],
    box: tuple[np.ndarray, np.ndarray],
    margin: float,
    autoencoder: Autoencoder | None = None,
) -> Model:
    """The trained denoiser of an experiment with these weights, or the trained model of another family."""
    config, network = experiment.config, (experiment.structure, weights, experiment.parameterization)
    predict, learns_variance = predictor(*network), config.variance == "learned"
    given = None if experiment.conditions is None else conditional_predictor(*network)
    aim = _the_part if config.guidance is None else said_to_sample(catalog.build("guidance", config.guidance))
    direct = None if experiment.family is None else direct_of_family(experiment, weights)
    model = Model(
        name=folder.name,
        folder=folder,
        config=config,
        dataset=dataset,
        process=experiment.process,
        parameterization=experiment.parameterization,
        standard=standard,
        view=view,
        columns=columns,
        predict=predict if direct is None else no_denoiser(direct.title, folder.name),
        box=box,
        margin=margin,
        predict_with_variance=predict if learns_variance else None,
        kind=experiment.loss.kind,
        conditions=experiment.conditions,
        given=given,
        given_with_variance=given if learns_variance else None,
        aim=aim,
        direct=direct,
        autoencoder=autoencoder,
    )
    if not isinstance(experiment.loss, MapLoss):
        return model
    return model._replace(
        jump=jumper(experiment.structure, weights),
        jump_given=given and conditional_jumper(experiment.structure, weights),
        follows_flow=experiment.loss.follows_flow,
        jumps=experiment.loss.jumps,
    )
