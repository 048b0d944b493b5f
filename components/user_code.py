"""The user's Python file: loaded by path, never packaged; fingerprinted by what a node really uses of it.

TFX hashes whole files, and every sibling, so any edit nearby reruns everything. Here a fingerprint covers the text of
the definitions that are reachable from given functions, and of the local modules they import: an edit of
`build_model` leaves Transform cached, an edit of a neighbour's file changes nothing.
"""

import ast
import contextlib
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from lineage.outcome import InputError

PREPROCESSING = "preprocessing_fn"
RUN_FN = "run_fn"
HOOKS = (RUN_FN, "build_model", "loss", "metrics", "optimizer", "callbacks", "augment")


def load(path: str) -> ModuleType:
    """Imports the Python file at `path`; modules beside it can be imported by it.

    Raises:
      InputError: the file raises while it is imported; the message names the line.
    """
    file = Path(path)
    spec = importlib.util.spec_from_file_location(f"slipway_user_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _first_on_path(file.parent):
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}{_line(error, file)}"
            raise InputError(f"{file} cannot be imported: {reason}") from error
    return module


def functions(path: str) -> set[str]:
    """Names of the functions that the file defines or imports at its top level, without running it.

    Raises:
      InputError: there is no such file, or it is not valid Python.
    """
    names = set()
    for statement in _parse(Path(path)).body:
        names |= _defined(statement)
    return names


def fingerprint(path: str, roots: Iterable[str]) -> str:
    """SHA-256 (hex) of the source that the top-level functions `roots` can reach.

    Reached is every top-level definition whose name occurs in a reached one, every statement that defines nothing
    (it may have effects), and the whole of each module beside the file that the file imports.
    """
    file = Path(path)
    source = file.read_text(encoding="utf-8")
    tree = _parse(file)
    digest = hashlib.sha256()
    for statement in _reachable(tree, set(roots)):
        digest.update((ast.get_source_segment(source, statement) or "").encode())
    for module in files(path)[1:]:
        digest.update(module.read_bytes())
    return digest.hexdigest()


def files(path: str) -> list[Path]:
    """The file, and the Python files beside it that it imports, directly or through one another."""
    file = Path(path)
    return [file, *sorted(_local_modules(_parse(file), file.parent, {file}))]


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except FileNotFoundError:
        raise InputError(f"model: there is no file {file}. Give the Python file that defines build_model.") from None
    except SyntaxError as error:
        raise InputError(f"{file}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None


def _defined(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(alias.asname or alias.name).split(".")[0] for alias in names}
        case ast.Assign() | ast.AnnAssign():
            return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _stored(node)}
        case _:
            return set()


def _stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _reachable(tree: ast.Module, roots: set[str]) -> list[ast.stmt]:
    docstring = ast.get_docstring(tree) is not None
    statements = tree.body[1:] if docstring else tree.body
    reached = [statement for statement in statements if not _defined(statement)]
    wanted = roots | {name for statement in reached for name in _used(statement)}
    while True:
        new = [s for s in statements if s not in reached and _defined(s) & wanted]
        if not new:
            return [statement for statement in statements if statement in reached]
        reached += new
        wanted |= {name for statement in new for name in _used(statement)}


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and not _stored(node)}


def _local_modules(tree: ast.Module, folder: Path, seen: set[Path]) -> set[Path]:
    """Python files beside the user's that the tree imports, directly or through one another."""
    found: set[Path] = set()
    for node in ast.walk(tree):
        for name in _imported(node):
            candidates = (folder / f"{name.replace('.', '/')}.py", folder / name.replace(".", "/") / "__init__.py")
            for file in candidates:
                if file.is_file() and file not in seen:
                    seen.add(file)
                    found |= {file} | _local_modules(_parse(file), folder, seen)
    return found


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name for alias in node.names for name in _with_parents(alias.name)]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        return [*_with_parents(base), *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
    return []


def _with_parents(name: str) -> list[str]:
    """Of `a.b` also `a`, whose `__init__.py` is run too."""
    parts = name.split(".")
    return [".".join(parts[:number]) for number in range(1, len(parts) + 1)]


@contextlib.contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _line(error: BaseException, file: Path) -> str:
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" (line {lines[-1]})" if lines else ""
