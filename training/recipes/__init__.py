"""Recipes: what a run is told, as files."""
