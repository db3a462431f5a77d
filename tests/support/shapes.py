"""Shapes and types in the annotations of the mathematics are checked at run time, in tests only."""

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

CHECKED = ["diffuse_cli.diffusion", "diffuse_cli.samplers"]

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as it is for type checkers
install_import_hook(CHECKED, f"{__name__}.checked")
