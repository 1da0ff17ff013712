"""Weights by a recipe."""
