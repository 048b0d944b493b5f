"""Where a task finds what lies in an object store: Kubeflow has copied it there, or Vertex AI has mounted it."""

from pathlib import Path

_STORES = {"gs://": "gcs", "minio://": "minio", "s3://": "s3"}


def path_of(uri: str, mounts: Path) -> str:
    """The path for an address; `mounts` is the folder below which object stores are: the root, in a task."""
    for scheme, folder in _STORES.items():
        if uri.startswith(scheme):
            return str(mounts / folder / uri.removeprefix(scheme))
    return uri
