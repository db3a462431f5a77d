"""How a user wants a file to be read, and the flag that would ask for another way."""

import shlex
from typing import Literal, NamedTuple

from diffuse_cli import catalog
from diffuse_cli.errors import UsageError

Switch = Literal["auto", "yes", "no"]
Decimal = Literal["auto", "point", "comma"]

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "pipe": "|"}


class ReadOptions(NamedTuple):
    """The options of `file:`; `points.file` says what each means. `flag` is the flag on whose value they stand."""

    path: str
    columns: str | None = None
    delimiter: str | None = None
    decimal: Decimal = "auto"
    missing: str | None = None
    header: Switch = "auto"
    index: Switch = "auto"
    label: str | None = None
    given: str | None = None
    key: str | None = None
    flag: str = "--dataset"

    def chosen(self) -> dict[str, str]:
        """The options that are not left to be recognised."""
        options = {name: value for name, value in self._asdict().items() if name not in ("path", "flag")}
        return {name: value for name, value in options.items() if value not in (None, "auto")}

    def flag_with(self, **changes: str) -> str:
        """The whole flag that reads the file with these options too, quoted for a shell.

        >>> print(ReadOptions("my points.csv", header="yes").flag_with(decimal="comma"))
        --dataset 'file:my points.csv,header=yes,decimal=comma'
        """
        path = catalog.quote(self.path) if set(self.path) & set(',="') else self.path
        options = [
            f"{key}={value if ',' not in value else catalog.quote(value)}"
            for key, value in (self.chosen() | changes).items()
        ]
        start = "file:" if self.flag == "--dataset" else ""
        return f"{self.flag} {shlex.quote(start + ','.join([path, *options]))}"

    def delimiter_character(self) -> str | None:
        """The character between cells that was asked for. Raises UsageError for what is none of those known."""
        if self.delimiter is None:
            return None
        character = DELIMITERS.get(self.delimiter, "\t" if self.delimiter == "\\t" else self.delimiter)
        if character not in DELIMITERS.values():
            raise UsageError(f"{self.path}: delimiter={self.delimiter}: choose one of {', '.join(DELIMITERS)}")
        return character

    def refuse(self, what: str, *names: str) -> None:
        """Raises UsageError if one of these options is given: they have no meaning for `what`."""
        for name in names:
            if name in self.chosen():
                raise UsageError(f"{self.path}: {name}={self.chosen()[name]} is for {what}")
