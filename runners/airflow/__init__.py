"""What Airflow needs to run a compiled pipeline: a DAG file that imports neither TFX nor TensorFlow."""

from runners.airflow.write import write_dag

__all__ = ["write_dag"]
