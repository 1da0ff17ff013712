"""One module for each word after `python -m training`."""
