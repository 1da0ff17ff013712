"""The service beside others, under load."""
