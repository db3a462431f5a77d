"""diffuse evaluate"""

from typing import TYPE_CHECKING

import click

from diffuse_cli.analysis import caveats, quality_tables
from diffuse_cli.cli import options, signals, terminal

if TYPE_CHECKING:
    from diffuse_cli.analysis.guidance_quality import GuidanceQuality
    from diffuse_cli.analysis.quality import Quality
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.models.model import Model

_EPILOG = """\b
Examples:
  diffuse evaluate
  diffuse evaluate --run moons --sampler ddim --steps 10 --metric w2 --metric energy
  diffuse evaluate --exact --dataset pinwheel --steps 20
  diffuse evaluate --run moons --label all
  diffuse evaluate --exact --dataset overlap --label upper --guidance fkc:w=3
  diffuse evaluate --json > quality.json"""


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

    A conditional run is judged as one that is told no label; with --label by the points with this label, and with
    --label all by those with each, and the mean of their NLLs in the proportions of the labels; with --given and
    --prompt by p(x | values) and p(x | sentence), where they are known.

    \b
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
      With --label all: labels: name -> all these; nll: their mean
    """
    from diffuse_cli.analysis import quality
    from diffuse_cli.analysis.guidance_quality import guidance_quality

    signals.at_once()
    models, results = opener.open_each(), []
    documents: dict[str | None, dict[str, object]] = {}
    for model in models:
        dataset, method = model.dataset(), sampling.method(model.config)
        terminal.note(f"Judging {model.name} by {count:,} samples of {method.sampler} in {method.steps} steps")
        result = quality.evaluate_model(model, dataset, method, metrics, n=count, seed=seed, repeats=repeats)
        _note(result, dataset)
        results.append(result)
        guidance = None
        if model.guiding is not None:
            guidance = guidance_quality(model, dataset, result.drawn, n=count, seed=seed, repeats=repeats)
        head = {"run": str(model.folder), "dataset": model.config.dataset, "n": count, "sampler": method.sampler}
        spent = {"steps": method.steps, "evals": result.drawn.evals, "clipped": result.drawn.clipped}
        told = {"label": model.told if opener.label else None, "given": opener.given, "prompt": opener.prompt}
        documents[model.told] = {**head, **told, **spent, **_document(result)}
        documents[model.told] |= {} if guidance is None else {"guidance": guidance.document()}
        if not as_json:
            _print(model, dataset, result, guidance, seed, several=len(models) > 1)
    if len(models) == 1:
        if as_json:
            terminal.print_json(documents[models[0].told])
        return
    nlls = [result.nll for result in results if result.nll is not None]
    whole = quality.over_labels(nlls, [model.share for model in models]) if len(nlls) == len(results) else None
    if as_json:
        terminal.print_json({"labels": documents, "nll": whole and whole._asdict()})
    elif whole is not None:
        cells = map(quality_tables.nll_cells, nlls)
        rows = [(str(model.told), *each) for model, each in zip(models, cells, strict=True)]
        terminal.print_table([*rows, ("mean", *quality_tables.nll_cells(whole))], header=quality_tables.NLL_BY_LABEL)


def _note(result: "Quality", dataset: "Dataset") -> None:
    """What a reader has to know of the results, on stderr."""
    if dataset.points is not None:
        terminal.note(caveats.of_file(result.held_out, result.compared))
    terminal.tell_clipped(result.drawn)
    if (missing := quality_tables.metrics_left_out(result)) is not None:
        terminal.note(missing)


def _document(result: "Quality") -> dict[str, object]:
    excess = result.excess
    return {
        "metrics": {name: score._asdict() for name, score in result.scores.items()},
        "nll": result.nll and result.nll._asdict(),
        "excess_loss": excess
        and {
            "total": float(excess.total),
            "by_log_snr": [[float(value) for value in row] for row in zip(*excess[:3], strict=True)],
        },
        "memorisation": result.memorisation and result.memorisation._asdict(),
    }


def _print(
    model: "Model",
    dataset: "Dataset",
    result: "Quality",
    guidance: "GuidanceQuality | None",
    seed: int,
    *,
    several: bool,
) -> None:
    from diffuse_cli.cli import preview

    if several:
        click.echo(f"\n{model.name}")
    preview.show_samples(result.drawn.samples, dataset, model.view, seed=seed + 1)
    rows = [quality_tables.distance_row(name, score) for name, score in result.scores.items()]
    if guidance is not None:
        of_label = f"to {model.told}"
        rows += [
            quality_tables.distance_row(f"{name} {of_label}", score) for name, score in guidance.from_label.items()
        ]
    if rows:
        terminal.print_table(rows, header=quality_tables.DISTANCES)
    likelihood = [] if result.nll is None else quality_tables.nll_rows(result.nll)
    others = [] if guidance is None else guidance.rows()
    terminal.print_table(likelihood + quality_tables.other_rows(result) + others)
