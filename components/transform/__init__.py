"""TFX's Transform with the user's `preprocessing_fn`, whose source goes with the job to where it runs."""

from components.transform.preprocessing import preprocessing_fn

__all__ = ["preprocessing_fn"]
