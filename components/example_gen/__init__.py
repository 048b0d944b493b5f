"""CSV and Parquet files to TFX Examples, a record batch at a time; `sources` reads files without TFX or TensorFlow."""
