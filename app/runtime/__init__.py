"""The process: its children, devices, log, metrics and traces."""
