"""The curated schema: read and checked in `curated`, brought into the pipeline by the component."""
