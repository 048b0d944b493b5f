"""What Kubeflow has to know to run a pipeline: the `kubeflow` section of pipeline.yaml."""

from typing import Literal

from pydantic import Field

from pipeline.section import Section

Dialect = Literal["kfp", "vertex"]


class Kubeflow(Section):
    """Image, storage and dialect; what a node asks of the cluster is in `nodes`."""

    image: str | None = Field(
        default=None, description="Image that the tasks run in, with its tag, such as registry.example.com/digits:1."
    )
    pipeline_root: str | None = Field(
        default=None, description="Where artifacts go, such as gs://bucket/folder; omitted: the cluster's own default."
    )
    volumes: dict[str, str] = Field(
        default={}, description="PersistentVolumeClaims by the folder at which all tasks see them: {/data: my-claim}."
    )
    runs: str | None = Field(
        default=None, description="Folder, on a volume, into which a last task writes each run, for `slipway import`."
    )
    folder: str = Field(
        default="/pipeline", pattern=r"^/.", description="Where the folder of pipeline.yaml is in the image."
    )
    dialect: Dialect = Field(default="kfp", description="kfp: Kubeflow Pipelines 2; vertex: Vertex AI Pipelines.")
