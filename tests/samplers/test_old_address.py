"""The old address of what own samplers import works, and warns."""

import importlib

import pytest

from diffuse_cli.samplers import base


def test_the_old_address_has_the_same_names_and_warns():
    with pytest.warns(FutureWarning, match=r"diffuse_cli\.samplers\.base"):
        old = importlib.reload(importlib.import_module("diffuse_cli.sampling.samplers"))
    assert old.Sampler is base.Sampler
    assert old.without_scale is base.without_scale
    assert old.normal is base.standard_normal
