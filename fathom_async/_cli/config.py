"""``fathom config``."""

import os
from typing import Final

from fathom_async._cli.output import STANDARD, Kind, OutputOptions, Records, note, write
from fathom_async._cli.settings import VARIABLES, config_file, read_config
from fathom_async._util.secrets import shown_url

_COLUMNS: Final[dict[str, Kind]] = {"key": "text", "value": "text", "variable": "text", "source": "text"}


def config(*, output: OutputOptions = STANDARD) -> None:
    """Show the settings, and where they come from: the environment, or the file that is named."""
    output.check(_COLUMNS)
    file = config_file(os.environ)
    note(f"{file}{'' if file.exists() else ' does not exist'}")
    written = read_config(os.environ)
    rows = [
        (
            key,
            shown_url(value)[1:-1] if "://" in value else value,
            name,
            "file" if written.get(name) == value else "environment",
        )
        for key, name in VARIABLES.items()
        if (value := os.environ.get(name)) is not None
    ]
    write(Records(_COLUMNS, rows), output)
