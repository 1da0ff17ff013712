"""What was found, for a terminal, a model card and a page."""
