"""A folder to begin with: an experiment, a map of one's own, its test, and CI that holds both."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Final

from liqbt.errors import ConfigError

_TEMPLATES: Final = Path(__file__).resolve().parent.parent / "data" / "project"
_PLACES: Final = {
    "README.md": "README.md",
    "experiment.yaml": "experiment.yaml",
    "gitignore": ".gitignore",
    "mymap.txt": "mymap.py",
    "requirements.txt": "requirements.txt",
    "test_experiment.txt": "test_experiment.py",
    "workflow.yml": ".github/workflows/liqbt.yml",
    "world.yaml": "world.yaml",
}
"""Where each template goes."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}")


def new_project(folder: Path) -> list[str]:
    """Write a project's files into a new folder, whose name it has.

    Parameters
    ----------
    folder : Path
        It must not exist, or be empty.

    Returns
    -------
    list of str
        The files, relative to the folder.

    Raises
    ------
    ConfigError
        Its name cannot be an experiment's, or it holds something.
    OSError
        It cannot be written.
    """
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{folder}: '{name}' becomes the experiment's name; expected letters, digits, - and _"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is there already, and not empty; choose another name")
    version = importlib.metadata.version("liqbt")
    for template, place in _PLACES.items():
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        filled = text.replace("PROJECT", name).replace("VERSION", version)
        path.write_text(filled, encoding="utf-8")
    return sorted(_PLACES.values())
