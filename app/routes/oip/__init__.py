"""The Open Inference Protocol, version 2: its routes, its messages, its tensors."""
