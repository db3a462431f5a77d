"""Checkpoints: what is saved comes back, and what is damaged or foreign is refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from diffuse_cli.errors import DiffuseError
from diffuse_cli.models import checkpoint

TREE = {"first": {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3)}, "hidden": {0: jnp.int32(7)}}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save_checkpoint(path, checkpoint.flatten(TREE, "weights"), {"step": "5"})
    return path


def test_round_trip(file):
    tensors, metadata = checkpoint.load_checkpoint(file)
    assert metadata["step"] == "5"
    assert set(tensors) == {"weights.first.kernel", "weights.first.bias", "weights.hidden.0"}
    got = checkpoint.restore(TREE, tensors, "weights")
    assert jax.tree.structure(got) == jax.tree.structure(TREE)
    jax.tree.map(np.testing.assert_array_equal, got, TREE)


def test_the_same_state_is_the_same_bytes(file, tmp_path):
    again = tmp_path / "again.safetensors"
    checkpoint.save_checkpoint(again, checkpoint.flatten(TREE, "weights"), {"step": "5"})
    assert again.read_bytes() == file.read_bytes()


def test_saving_over_leaves_no_other_file_and_ordinary_rights(file):
    checkpoint.save_checkpoint(file, checkpoint.flatten(TREE, "weights"), {"step": "6"})
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert checkpoint.read_header(file)["step"] == "6"
    assert file.stat().st_mode & 0o600 == 0o600


def test_everything_that_does_not_fit_is_listed(file):
    tensors, _ = checkpoint.load_checkpoint(file)
    template = {"first": {"kernel": jnp.zeros((2, 4)), "bias": jnp.zeros(3, jnp.int32)}, "last": jnp.zeros(1)}
    with pytest.raises(DiffuseError) as error:
        checkpoint.restore(template, tensors, "weights")
    for part in (
        "weights.last is missing",
        "weights.hidden.0 is unexpected",
        "kernel is float32[2, 3], not float32[2, 4]",
        "int32[3]",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: b"", "damaged"),
        (lambda data: b"not a checkpoint at all", "damaged"),
        (lambda data: safetensors.numpy.save({"a": np.ones(2)}), "not a diffuse checkpoint"),
        (lambda data: safetensors.numpy.save({"a": np.ones(2)}, {"diffuse": '{"format": "99"}'}), "format '99'"),
        (lambda data: safetensors.numpy.save({"a": np.ones(2)}, {"diffuse": "{"}), "damaged"),
        (lambda data: safetensors.numpy.save({"a": np.ones(2)}, {"format": "other"}), "not a diffuse checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused(file, damage, says):
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DiffuseError, match=says):
        checkpoint.load_checkpoint(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DiffuseError, match="nothing"):
        checkpoint.load_checkpoint(tmp_path / "nothing.safetensors")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DiffuseError, match="cannot write"):
        checkpoint.save_checkpoint(tmp_path / "no" / "x.safetensors", {}, {})
