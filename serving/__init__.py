"""The model folder that servers read, and an embedded server and client on TensorFlow Serving's gRPC protocol."""
