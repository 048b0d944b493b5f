"""`slipway compile --to beam`: the Dockerfile of the image that workers of Beam run in, where they have nothing else.

The user's code is not in it: that goes with each job (see `components.transform.source`).
"""

import importlib.metadata
import sys
from pathlib import Path
from string import Template

from lineage.outcome import InputError

_DOCKERFILE = Template("""\
# What workers of Beam run in: Slipway, as its deploy/Dockerfile builds it, and the program that Beam starts them by.
#   docker build -t IMAGE -f $dockerfile .
#   docker push IMAGE
# Add what model.py imports beside Slipway and the files in its own folder, such as: RUN pip install PACKAGE
ARG SLIPWAY=slipway:$version
FROM apache/beam_python${python}_sdk:$beam AS beam
FROM $${SLIPWAY}
COPY --from=beam /opt/apache/beam /opt/apache/beam
# Beam's program would make an environment of its own, without Slipway.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
ENTRYPOINT ["/opt/apache/beam/boot"]
""")


def write(folder: Path) -> Path:
    """Writes the Dockerfile into a folder, which it makes; what lies there is replaced.

    Raises:
      InputError: it cannot be written.
    """
    path = folder / "Dockerfile"
    text = _DOCKERFILE.substitute(
        dockerfile=path,
        version=importlib.metadata.version("slipway"),
        beam=importlib.metadata.version("apache-beam"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"The Dockerfile cannot be written to {folder}: {error.strerror}.") from error
    return path
