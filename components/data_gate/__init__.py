"""The gate between data and training: anomalies that the config does not allow stop the run."""
