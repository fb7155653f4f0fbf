"""Export trained models to ONNX and Keras files; parity is checked before a file is kept."""
