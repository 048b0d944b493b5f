"""Which versions a model's base path holds, by TensorFlow Serving's rule; reads names only, loads nothing.

The layout is `<base path>/<version>/saved_model.pb`; a child whose name is not a number is not a version.
"""

from pathlib import Path


def find_versions(base_path: Path) -> dict[int, Path]:
    """The versions under `base_path` by number, oldest first; empty where the folder does not exist."""
    children = base_path.iterdir() if base_path.is_dir() else ()
    numbered = ((child.name, child) for child in children)
    return dict(sorted((int(name), child) for name, child in numbered if name.isascii() and name.isdigit()))
