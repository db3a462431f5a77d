"""How shapes and types in annotations are checked, in tests only: `tests/conftest.py` switches it on."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for type checkers
