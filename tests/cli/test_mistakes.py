"""A new user's mistakes: one line that says what is wrong and what is right, the right status, nothing half-written."""

import os

import numpy as np
import pytest

from diffuse_cli.models import run_folder
from tests.cli.conftest import call

GOOD = np.random.default_rng(0).normal(size=(20, 2))
FILES = {
    "text.csv": "x,y\n1,2\nthree,4\n5,6\n",
    "nan.csv": "1,2\nnan,4\n5,6\n",
    "ragged.csv": "1,2\n3,4,5\n6,7\n",
    "one.csv": "x,y\n1,2\n",
    "constant.csv": "x,y\n1,2\n1,3\n1,4\n",
    "empty.csv": "",
    "good.csv": "\n".join(f"{x},{y}" for x, y in GOOD),
    "broken.toml": "lr = \n",
    "unknown.toml": "learning_rate = 0.1\n",
    "wrong.toml": "steps = 'many'\n",
    "low.toml": "steps = 0\n",
    "choice.toml": "schedule = 'cosin'\n",
}

MISTAKES = [
    ("train --dataset mons", 2, "did you mean 'moons'"),
    ("train --dataset moons:noize=1", 2, "did you mean 'noise'"),
    ("train --dataset moons:noise=-1", 2, "noise=-1"),
    ("train --dataset moons:noise=x", 2, "noise=x: not a number"),
    ("train --dataset rose:petals=2.5", 2, "petals=2.5: not a whole number"),
    ("train --dataset swiss_roll:dim=7", 2, "choose one of 2, 3"),
    ("train --schedule cosin", 2, "did you mean 'cosine'"),
    ("train --schedule linear:start=0.5,end=0.1", 2, "must not be above"),
    ("train --prediction noise", 2, "Known: eps, x0, v"),
    ("train --stpes 10", 2, "--steps"),
    ("train --steps 0", 2, "1<=x"),
    ("train --steps ten", 2, "'ten'"),
    ("train --steps 10 --budget 5s", 2, "either --steps or --budget"),
    ("train --budget soon", 2, "like 30s"),
    ("train --budget 0s", 2, "above zero"),
    ("train --lr -1", 2, "0<x<=10"),
    ("train --lr nan", 2, "lr"),
    ("train --ema 1", 2, "0<=x<1"),
    ("train --batch-size 0", 2, "1<=x"),
    ("train --set colour=red", 2, "unknown setting 'colour'"),
    ("train --set stps=3", 2, "did you mean 'steps'"),
    ("train --set steps", 2, "--set key=value"),
    ("train --set steps=many", 2, "--set steps=many"),
    ("train --config broken.toml", 2, "broken.toml"),
    ("train --config unknown.toml", 2, "unknown setting 'learning_rate'"),
    ("train --config wrong.toml", 2, "steps"),
    ("train --config low.toml", 2, "steps"),
    ("train --config choice.toml", 2, "did you mean 'cosine'"),
    ("train --config missing.toml", 2, "no config file 'missing.toml'"),
    ("train --config moon", 2, "did you mean 'moons'"),
    ("train --dataset file:missing.csv", 1, "missing.csv"),
    ("train --dataset file:goood.csv", 1, "good.csv"),
    ("train --dataset file:text.csv", 1, "text.csv, line 3, column 1 (x): 'three' is not a number"),
    ("train --dataset file:nan.csv", 1, "line 2"),
    ("train --dataset file:ragged.csv", 1, "line 2"),
    ("train --dataset file:one.csv", 1, "one.csv"),
    ("train --dataset file:constant.csv", 1, "x"),
    ("train --dataset file:empty.csv", 1, "empty.csv"),
    ("train --dataset file", 2, "needs path"),
    ("train --dataset file:good.csv --batch-size 19", 2, "batch_size is 19, but there are only 18 rows"),
    ("train --dataset file:good.csv --train-size 30 --batch-size 4", 2, "train_size is 30"),
    ("train --dataset good.csv", 2, "file:good.csv"),
    ("train --name small", 2, "--resume small"),
    ("train --name a/b", 2, "plain folder name"),
    ("train --name latest", 2, "latest"),
    ("train --resume nothing", 1, "no run named 'nothing'"),
    ("train --resume small", 2, "60 steps already"),
    ("train --resume small --steps 30", 2, "60 steps already"),
    ("train --resume small --lr 0.1", 2, "leave out --lr"),
    ("train --resume small --steps 90 --name other", 2, "leave out --name"),
    ("train --outputs good.csv", 1, "good.csv"),
    ("train --device gpu", 1, "jax sees no gpu"),
    ("train --dataset no.such.module:thing", 2, "no.such.module"),
    ("sample --run nothing", 1, "Runs there: small,"),
    ("sample --run empty", 1, "is not a finished run"),
    ("sample --run foreign", 1, "not a diffuse checkpoint"),
    ("sample --run torn", 1, "damaged"),
    ("sample --sampler dimm", 2, "did you mean 'ddim'"),
    ("sample --sampler ddim:eta=2", 2, "eta=2"),
    ("sample --sampler ddpm:medium", 2, "small, large"),
    ("sample --grid unifrom", 2, "did you mean 'uniform'"),
    ("sample --steps 0", 2, "1<=x"),
    ("sample -n 0", 2, "1<=x<="),
    ("sample --out s.txt", 2, ".npz, .npy, .csv"),
    ("sample --out s.csv --trajectory", 2, "only a .npz"),
    ("sample --out nowhere/s.csv", 1, "nowhere"),
    ("sample --out - --plot", 2, "leave out --plot"),
    ("plot-forward --out f.jpg", 2, ".png"),
    ("plot-forward --out nowhere/f.png", 1, "nowhere"),
    ("plot-forward --frames 1", 2, "2<=x<=12"),
    ("plot-forward --timesteps 1", 2, "2<=x"),
    ("plot-reverse --run nothing", 1, "no run named"),
    ("plot-loss --run nothing", 1, "no run named"),
    ("plot-schedule --schedule cosin", 2, "did you mean 'cosine'"),
    ("list colours", 2, "unknown kind"),
    ("info nothing", 1, "no run named"),
    ("tarin", 2, "train"),
    ("sample --outputs none", 1, "no run in none yet"),
]


def state_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def desk(outputs):
    """A folder with good and bad files, and runs that are none."""
    for name, text in FILES.items():
        (outputs.parent / name).write_text(text)
    for name in ("empty", "foreign", "torn"):
        (outputs / name).mkdir()
    import safetensors.numpy

    (outputs / "foreign" / run_folder.NEWEST).write_bytes(safetensors.numpy.save({"a": np.ones(3)}))
    (outputs / "torn" / run_folder.NEWEST).write_bytes((outputs / "small" / run_folder.NEWEST).read_bytes()[:1000])
    for name in ("foreign", "torn"):
        os.utime(outputs / name / run_folder.NEWEST, (0, 0))  # `latest` stays the good one
    return outputs.parent


@pytest.mark.parametrize(("line", "status", "says"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_one_line_and_nothing_left_behind(line, status, says, desk):
    before = state_of(desk)
    result = call(*line.split())
    assert result.code == status, result.err
    assert says in result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    assert "should not happen" not in result.err
    errors = [row for row in result.err.splitlines() if row.startswith("Error: ")]
    assert len(errors) == 1
    assert result.err.rstrip().endswith(errors[0]), "something was said after the error"
    assert state_of(desk) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(desk):
    os.chmod(desk / "outputs", 0o500)
    try:
        result = call("train", "--steps", 5)
    finally:
        os.chmod(desk / "outputs", 0o700)
    assert result.code == 1
    assert "cannot make a run" in result.err


def test_an_outputs_that_cannot_be_made(desk):
    result = call("train", "--outputs", desk / "good.csv" / "deeper")
    assert result.code == 1
    assert "cannot make a run" in result.err


def test_debug_lets_the_traceback_through(desk):
    from click.testing import CliRunner

    from diffuse_cli.cli import cli
    from diffuse_cli.errors import DiffuseError

    result = CliRunner().invoke(cli, ["sample", "--run", "nothing", "--debug"])
    assert isinstance(result.exception, DiffuseError)


def test_a_file_changed_under_a_run_is_noticed(desk):
    arguments = ["train", "--dataset", "file:good.csv", "--batch-size", 4, "--steps", 20, "--width", 8, "--no-figures"]
    assert call(*arguments).code == 0
    (desk / "good.csv").write_text("\n".join(f"{x},{y}" for x, y in 2 * GOOD))
    result = call("train", "--resume", "good", "--steps", 40)
    assert result.code == 1
    assert "have changed" in result.err
