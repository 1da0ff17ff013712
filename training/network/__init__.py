"""MobileNet with a head: built, run, written."""
