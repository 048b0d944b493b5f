"""What happened: runs, recovery and the report, read from ML Metadata without TensorFlow."""
