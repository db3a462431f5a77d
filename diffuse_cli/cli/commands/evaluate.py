"""diffuse evaluate"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from diffuse_cli.analysis import caveats, quality_tables
from diffuse_cli.cli import options, signals, terminal

if TYPE_CHECKING:
    from diffuse_cli.analysis.guidance_quality import GuidanceQuality
    from diffuse_cli.analysis.latent_quality import LatentQuality
    from diffuse_cli.analysis.quality import Nll, Quality
    from diffuse_cli.analysis.student_quality import Judgement
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.models.draw import Method
    from diffuse_cli.models.model import Model

_EPILOG = """\b
Keys of --json (nats; null for what is not known):
  run, dataset, n, sampler, label, given, prompt, steps, evals,
  clipped: samples on the edge of the box to which x0 is clipped
  metrics: name -> value, floor, floor_std, n, repeats, indistinguishable
    (null where n is too small to judge)
  nll: value, entropy, gap, stderr, n, failed
  excess_loss: total, by_log_snr [[log_snr, model, irreducible], …]
  memorisation: median, held_out_median, close, close_share, nearer,
    nearer_stderr, held_out (their number), judges (whether they suffice)
  guidance (with --guidance): kl: kl, floor, floor_std, blocks, in nats;
    from_label: name -> as in metrics; particles: populations, size, least,
    last (effective shares), ancestors, z_ratio
  student (of a student): a list of evals, sampler, steps, clipped, metrics,
    map_gap: rms, median, half_from (a share), n, unsolved (left out);
    kl: value, stderr (nats; null if infinite), folds, outside (shares), n
  latent (of a VAE or a latent run): elbo_bound, vae_nll, hole, hole_left:
    value, stderr, in nats; active, active_if_linear, noise
  beside (with --beside): name of a run -> nll, of the same points
  With --label all: labels: name -> all these; nll: their mean

\b
Examples:
  diffuse evaluate
  diffuse evaluate --run moons --sampler ddim --steps 10 --metric w2 --metric energy
  diffuse evaluate --exact --dataset pinwheel --steps 20
  diffuse evaluate --run moons --label all
  diffuse evaluate --exact --dataset overlap --label upper --guidance fkc:w=3
  diffuse evaluate --run curves-latent2 --beside curves
  diffuse evaluate --json > quality.json"""


class _Sampling(NamedTuple):
    """How models are judged: by which samples, and beside how many draws of the truth."""

    method: options.MethodOption
    metrics: tuple[str, ...]
    n: int
    repeats: int
    seed: int


class _Judged(NamedTuple):
    """What is known of one model. guidance: of a guided one. student: of a student, by numbers of evaluations.
    latent: of a VAE or a latent model. beside: the likelihoods of other runs on the same points, by name."""

    model: "Model"
    dataset: "Dataset"
    method: "Method"
    quality: "Quality"
    guidance: "GuidanceQuality | None"
    student: "list[Judgement]"
    latent: "LatentQuality | None"
    beside: "dict[str, Nll]"


@click.command(epilog=_EPILOG)
@options.model_option
@options.method_options
@options.count(100, 10_000, "samples")
@options.option(
    "metrics",
    "--metric",
    type=options.ChoiceParam("metric"),
    multiple=True,
    help="Which distance; may be repeated.  [default: all of them]",
)
@options.repeats
@options.option(
    "beside",
    "--beside",
    metavar="NAME|PATH",
    multiple=True,
    help="Another run of the same data, whose likelihood of the same points is printed too; may be repeated.",
    shell_complete=options.complete_run,
)
@options.as_json
@options.seed
@options.device
@options.common
def evaluate(
    opener: options.ModelOption,
    sampling: options.MethodOption,
    count: int,
    metrics: tuple[str, ...],
    repeats: int,
    beside: tuple[str, ...],
    as_json: bool,
    seed: int,
) -> None:
    """Judge a run: each figure beside what a perfect model would have.

    No sample of n points has distance zero from another, even of the same law. Each distance stands beside its noise
    floor, the same distance between two independent draws of the truth, with the standard deviation of that. It is
    marked as indistinguishable from truth unless only 2 perfect models in 1000 would be as far off. With few points
    clearly wrong models pass too: where those that are moved by half a standard deviation, half as wide again or that
    much narrower do, the verdict is 'cannot judge', and the distance says nothing.

    NLL is by the probability-flow ODE, beside the exact entropy; their gap is KL(truth || model). The excess loss is
    what learning could still remove, in nats. Distances are in model space, where data have unit variance; NLL is in
    nats and in data units. Of a file, the reference are the rows held out from training; distances that need more of
    them are left out, unless --metric asks for them.

    With --guidance the truth is the law that it is said to sample, π_w ∝ p(x | label)^w p(x)^(1 − w), on a grid; beside
    it stand the distances from the points with the label.

    A student, a run that has learned to jump, is also judged at 1, 2, 4 and 8 evaluations of the sampler jump. The map
    gap is the distance of each end from that of the exact flow, from the same noise, as root mean square and median;
    the share of the points that make half of the mean square is small where these are points at the divides between
    parts of the data. KL(student || data) is exact, by the Jacobian of the jumps, but where the map folds, det J < 0,
    it is a lower bound. The distances that are printed for another method stand below; NLL and excess loss are those of
    the denoiser that a student is too.

    A latent run is judged by decoded samples. Beside its NLL stand that of its VAE, −ELBO, which is above it, and the
    hole KL(q(z) || N) between encodings and prior, which diffusion fills. log p(x) is an integral over the latents, by
    quadrature, for one or two of them.

    A conditional run is judged as one that is told no label; with --label by the points with this label, and with
    --label all by those with each, and the mean of their NLLs in the proportions of the labels; with --given and
    --prompt by p(x | values) and p(x | sentence), where they are known.
    """
    from diffuse_cli.models import latent

    signals.at_once()
    asked = _Sampling(sampling, metrics, count, repeats, seed)
    models, results = [latent.decoded(each) for each in opener.open_each()], []
    others = [latent.decoded(opener.open_other(name)) for name in beside]
    for model in models:
        result = _judge(model, asked, others)
        results.append(result)
        if not as_json:
            _print(result, seed, several=len(models) > 1)
    told: dict[str, object] = {"given": opener.given, "prompt": opener.prompt}
    documents = [_document(result, count, told, labelled=opener.label is not None) for result in results]
    if len(models) > 1:
        _finish_labels(results, documents, as_json=as_json)
    elif as_json:
        terminal.print_json(documents[0])


def _judge(model: "Model", asked: _Sampling, others: "list[Model]") -> _Judged:
    """Judge one model, and say what a reader has to know of the results."""
    from diffuse_cli.analysis import quality
    from diffuse_cli.analysis.guidance_quality import guidance_quality
    from diffuse_cli.analysis.latent_quality import latent_quality
    from diffuse_cli.analysis.student_quality import judge_student
    from diffuse_cli.models.data import truth_of

    dataset, method = model.dataset(), asked.method.method(model.config)
    numbers = {"n": asked.n, "seed": asked.seed}
    terminal.note(f"Judging {model.name} by {asked.n:,} samples of {method.title}")
    result = quality.evaluate_model(model, dataset, method, asked.metrics, repeats=asked.repeats, **numbers)
    _note(result, dataset)
    guidance, student = None, []
    if model.guiding is not None:
        guidance = guidance_quality(model, dataset, result.drawn, repeats=asked.repeats, **numbers)
    if model.is_student:
        terminal.note("Judging its jumps, beside those of the exact flow")
        student = judge_student(model, dataset, result, method, **numbers)
        for note in quality_tables.student_notes(student):
            terminal.note(note)
    of_latents = None
    if model.autoencoder is not None:
        terminal.note("Judging its autoencoder")
        x0 = quality.judged_points(model, dataset, asked.n, asked.seed)
        of_latents = latent_quality(model, dataset, truth_of(dataset), x0, asked.seed)
    beside = quality.beside(others, model, dataset, asked.n, asked.seed)
    return _Judged(model, dataset, method, result, guidance, student, of_latents, beside)


def _finish_labels(results: Sequence[_Judged], documents: list[dict[str, object]], *, as_json: bool) -> None:
    """Print what follows from the results for all labels together."""
    from diffuse_cli.analysis import quality

    nlls = [result.quality.nll for result in results if result.quality.nll is not None]
    shares = [result.model.share for result in results]
    whole = quality.over_labels(nlls, shares) if len(nlls) == len(results) else None
    told = [result.model.told for result in results]
    if as_json:
        labels = dict(zip(told, documents, strict=True))
        terminal.print_json({"labels": labels, "nll": whole and whole._asdict()})
    elif whole is not None:
        cells = map(quality_tables.nll_cells, nlls)
        rows = [(str(label), *each) for label, each in zip(told, cells, strict=True)]
        terminal.print_table([*rows, ("mean", *quality_tables.nll_cells(whole))], header=quality_tables.NLL_BY_LABEL)


def _note(result: "Quality", dataset: "Dataset") -> None:
    """What a reader has to know of the results, on stderr."""
    if dataset.points is not None:
        terminal.note(caveats.of_file(result.held_out, result.compared))
    terminal.tell_clipped(result.drawn)
    if (missing := quality_tables.metrics_left_out(result)) is not None:
        terminal.note(missing)


def _document(judged: _Judged, count: int, told: dict[str, object], *, labelled: bool) -> dict[str, object]:
    """The result as JSON; told: what the model was told but a label, and `labelled` whether it was told one."""
    model, method, result, excess = judged.model, judged.method, judged.quality, judged.quality.excess
    document: dict[str, object] = {
        "run": str(model.folder),
        "dataset": model.config.dataset,
        "n": count,
        "sampler": method.sampler,
        "label": model.told if labelled else None,
        **told,
        "steps": method.steps,
        "evals": result.drawn.evals,
        "clipped": result.drawn.clipped,
        "metrics": {name: score._asdict() for name, score in result.scores.items()},
        "nll": result.nll and result.nll._asdict(),
        "excess_loss": excess
        and {
            "total": float(excess.total),
            "by_log_snr": [[float(value) for value in row] for row in zip(*excess[:3], strict=True)],
        },
        "memorisation": result.memorisation and result.memorisation._asdict(),
    }
    if judged.guidance is not None:
        document["guidance"] = judged.guidance.document()
    if judged.latent is not None:
        document["latent"] = judged.latent.document()
    if judged.beside:
        document["beside"] = {name: nll._asdict() for name, nll in judged.beside.items()}
    if judged.student:
        document["student"] = [each.document() for each in judged.student]
    return document


def _print(judged: _Judged, seed: int, *, several: bool) -> None:
    from diffuse_cli.cli import preview

    model, result, guidance, student = judged.model, judged.quality, judged.guidance, judged.student
    if several:
        click.echo(f"\n{model.name}")
    preview.show_samples(result.drawn.samples, judged.dataset, model.view, seed=seed + 1)
    if student:
        terminal.print_table(quality_tables.student_rows(student), header=quality_tables.student_header(student))
        click.echo(f"  {quality_tables.STUDENT_MARKS}\n")
    rows = []
    if judged.method not in [each.method for each in student]:  # otherwise it is a column of the student's table
        rows = [quality_tables.distance_row(name, score) for name, score in result.scores.items()]
    if guidance is not None:
        of_label = f"to {model.told}"
        rows += [
            quality_tables.distance_row(f"{name} {of_label}", score) for name, score in guidance.from_label.items()
        ]
    if rows:
        terminal.print_table(rows, header=quality_tables.DISTANCES)
    likelihood = [] if result.nll is None else quality_tables.nll_rows(result.nll)
    likelihood += [] if judged.latent is None else judged.latent.rows()
    likelihood += [
        (f"NLL of {name}", " ".join(quality_tables.nll_cells(nll)[:1])) for name, nll in judged.beside.items()
    ]
    others = [] if guidance is None else guidance.rows()
    terminal.print_table(likelihood + quality_tables.other_rows(result) + others)
