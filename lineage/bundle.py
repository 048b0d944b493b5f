"""A run in one file, its metadata and all that its artifacts hold: to move it to another root folder or host."""

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.nodes import SECONDS
from lineage.outcome import InputError
from lineage.runs import Run
from lineage.store import PIPELINE, RUN, TEMPLATE, claim_run_folder, run_folder

_METADATA = "metadata.json"
_FILES = "files"


def pack(store: MetadataStore, root: Path, run: Run, path: Path) -> None:
    """Writes a run that has ended to a new .tar file; artifacts outside of the root folder go without their files.

    Raises:
      InputError: the run goes on, or there is a file already, or it cannot be written.
    """
    if run.finished is None:
        raise InputError(f"Run {run.id} is {run.state}; expected one that has ended.")
    if path.exists():
        raise InputError(f"There is a file {path}. Name another with -o.")
    metadata = _read(store, root, run)
    folders = sorted({artifact["uri"] for artifact in metadata["artifacts"]} | {str(run.folder)})
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with tarfile.open(new, mode="x") as tar:
            _add_text(tar, _METADATA, json.dumps(metadata, indent=1))
            for folder in (Path(name) for name in folders):
                if folder.is_relative_to(root) and folder.exists():
                    tar.add(folder, arcname=f"{_FILES}/{folder.relative_to(root)}", filter=_not_of_the_root)
        new.rename(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {error.strerror}. Name another with -o.") from error


def unpack(store: MetadataStore, root: Path, path: Path) -> str:
    """Adds the run of a .tar file to a root folder; returns its id. Nothing is there until all of it is.

    Its artifacts come to lie in a folder of their own, for their names may be taken, being numbers of executions.

    Raises:
      InputError: it is no such file, or the root folder has a run of that id.
    """
    try:
        with tarfile.open(path) as tar, tempfile.TemporaryDirectory(dir=root) as folder:
            tar.extractall(folder, filter="data")
            metadata = json.loads(Path(folder, _METADATA).read_text(encoding="utf-8"))
            run_id = str(metadata["run"]["name"])
            if not claim_run_folder(root, run_id):
                raise InputError(f"There is a run {run_id} under {root} already.")
            _move(Path(folder, _FILES), root, run_id)
    except (OSError, tarfile.TarError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no run that `slipway export` wrote: {error}.") from error
    _Writer(store, Path(metadata["root"]), _imported(root, run_id)).write(metadata)
    return run_id


def _not_of_the_root(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A run elsewhere is not to be begun from what was compiled for this root folder."""
    return None if Path(member.name).name == TEMPLATE else member


def _read(store: MetadataStore, root: Path, run: Run) -> dict[str, Any]:
    context = store.get_context_by_type_and_name(RUN, run.id)
    executions = store.get_executions_by_context(context.id)
    events = store.get_events_by_execution_ids([execution.id for execution in executions]) if executions else []
    ids = sorted({event.artifact_id for event in events})
    artifacts = store.get_artifacts_by_id(ids) if ids else []
    contexts = {found.id: found for one in executions for found in store.get_contexts_by_execution(one.id)}
    return {
        "root": str(root),
        "pipeline": run.pipeline,
        "run": _json(context),
        "contexts": [_json(found) for found in contexts.values()],
        "in_context": {one.id: [found.id for found in store.get_contexts_by_execution(one.id)] for one in executions},
        "executions": [_json(execution) for execution in executions],
        "artifacts": [_json(artifact) for artifact in artifacts],
        "events": [_json(event) for event in events],
        "types": {
            "artifact": [_json(found) for found in _types(store.get_artifact_types(), artifacts)],
            "execution": [_json(found) for found in _types(store.get_execution_types(), executions)],
            "context": [_json(found) for found in _types(store.get_context_types(), [context, *contexts.values()])],
        },
    }


def _types(known: Iterable[Any], used: Iterable[Any]) -> list[Any]:
    ids = {one.type_id for one in used}
    return [found for found in known if found.id in ids]


def _json(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(text.encode())
    tar.addfile(info, io.BytesIO(text.encode()))


def _imported(root: Path, run_id: str) -> Path:
    return root / "imported" / run_id


def _move(files: Path, root: Path, run_id: str) -> None:
    """The run's own folder to where that of every run is, the rest to a folder for what was imported with it."""
    own = run_folder(files, run_id)
    for path in own.iterdir() if own.exists() else ():
        path.rename(run_folder(root, run_id) / path.name)
    _imported(root, run_id).parent.mkdir(parents=True, exist_ok=True)
    files.rename(_imported(root, run_id))


class _Writer:
    """Gives everything new ids and another folder, as it is written."""

    def __init__(self, store: MetadataStore, old: Path, new: Path):
        self._store, self._old, self._new = store, str(old), str(new)

    def write(self, metadata: Mapping[str, Any]) -> None:
        types = {
            "artifact": self._types(metadata, "artifact", mlmd.ArtifactType, self._store.put_artifact_type),
            "execution": self._types(metadata, "execution", mlmd.ExecutionType, self._store.put_execution_type),
            "context": self._types(metadata, "context", mlmd.ContextType, self._store.put_context_type),
        }
        contexts = {
            int(one["id"]): self._context(one, types["context"]) for one in [*metadata["contexts"], metadata["run"]]
        }
        artifacts = {}
        for one in metadata["artifacts"]:
            artifact = self._parsed(one, mlmd.Artifact(), types["artifact"])
            [artifacts[int(one["id"])]] = self._store.put_artifacts([artifact])
        for one in metadata["executions"]:
            self._execution(one, metadata, types["execution"], contexts, artifacts)
        pipeline = self._store.get_context_by_type_and_name(PIPELINE, metadata["pipeline"])
        if pipeline is not None:
            run = contexts[int(metadata["run"]["id"])]
            self._store.put_parent_contexts([mlmd.ParentContext(parent_id=pipeline.id, child_id=run.id)])

    def _types(self, metadata: Mapping[str, Any], kind: str, message: Any, put: Any) -> dict[int, int]:
        found = {}
        for one in metadata["types"][kind]:
            parsed = json_format.ParseDict(one, message())
            parsed.ClearField("id")
            found[int(one["id"])] = put(parsed, can_add_fields=True, can_omit_fields=True)
        return found

    def _context(self, one: Mapping[str, Any], types: Mapping[int, int]) -> mlmd.Context:
        context = self._parsed(one, mlmd.Context(), types)
        known = self._store.get_context_by_type_and_name(one["type"], one["name"])
        if known is None:
            [context.id] = self._store.put_contexts([context])
            return context
        return known

    def _execution(
        self,
        one: Mapping[str, Any],
        metadata: Mapping[str, Any],
        types: Mapping[int, int],
        contexts: Mapping[int, mlmd.Context],
        artifacts: Mapping[int, int],
    ) -> None:
        execution = self._parsed(one, mlmd.Execution(), types)
        took = int(one["last_update_time_since_epoch"]) - int(one["create_time_since_epoch"])
        execution.custom_properties[SECONDS].double_value = took / 1000
        pairs = []
        for event in (event for event in metadata["events"] if event["execution_id"] == one["id"]):
            parsed = json_format.ParseDict(event, mlmd.Event())
            parsed.ClearField("execution_id")
            parsed.ClearField("artifact_id")
            pairs.append((self._store.get_artifacts_by_id([artifacts[int(event["artifact_id"])]])[0], parsed))
        own = [contexts[int(found)] for found in metadata["in_context"][one["id"]]]
        self._store.put_execution(execution, pairs, own, reuse_context_if_already_exist=True)

    def _parsed(self, one: Mapping[str, Any], message: Any, types: Mapping[int, int]) -> Any:
        text = json.dumps(one).replace(json.dumps(self._old)[1:-1], json.dumps(self._new)[1:-1])
        parsed = json_format.ParseDict(json.loads(text), message)
        parsed.type_id = types[parsed.type_id]
        for field in ("id", "create_time_since_epoch", "last_update_time_since_epoch"):
            parsed.ClearField(field)
        if not isinstance(parsed, mlmd.Context):
            parsed.ClearField("name")  # unique in a store
        return parsed
