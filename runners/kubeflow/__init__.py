"""A pipeline on Kubeflow Pipelines 2 and Vertex AI: what is written for them, and what their tasks run."""
