"""Somebody's checkpoint to one with a contract: how its author prepares pictures is found out."""
