"""The user's source in a job of Beam's, whose workers may be on hosts that have none of the user's files.

A worker traces `preprocessing_fn` again, and runs what that has made of Beam's own parts, such as the DoFns of an
analyzer. The first needs files to import, the second is pickled: by value, since a reference would need them too.
"""

import functools
import sys
import tempfile
from pathlib import Path

from apache_beam.internal import cloudpickle

from components import user_code

Source = dict[str, str]  # text by path, relative to the folder of the user's file


def read(module_file: str) -> Source:
    """The user's file, and the modules beside it that it imports."""
    folder = Path(module_file).parent
    return {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in user_code.files(module_file)}


def at_hand(module_file: str, source: Source) -> str:
    """The path of the user's file: its own where it is as in `source`, with all that it imports; else of a copy."""
    folder = Path(module_file).parent
    if all(_is(folder / name, text) for name, text in source.items()):
        return module_file
    return str(Path(_copy(tuple(source.items())), Path(module_file).name))


def pickle_by_value(module_file: str, source: Source) -> None:
    """From now on Beam sends what comes from the modules beside the user's file as it is, not by the module's name.

    What the user's own file defines it always sends so, for that file is in nobody's `sys.modules`.
    """
    files = {str(Path(module_file).parent / name) for name in source}
    for module in [module for module in sys.modules.values() if getattr(module, "__file__", None) in files]:
        cloudpickle.register_pickle_by_value(module)


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


@functools.cache
def _copy(source: tuple[tuple[str, str], ...]) -> str:
    """A folder with these files, whose modules are then imported from there, not from that of another job."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-"))
    for name, text in source:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        sys.modules.pop(name.removesuffix("/__init__.py").removesuffix(".py").replace("/", "."), None)
    return str(folder)
