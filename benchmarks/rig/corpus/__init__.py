"""Hostile uploads: sound files, and what becomes of them under mutation. The same for a seed."""

from __future__ import annotations

from benchmarks.rig.corpus.mutations import mutated
from benchmarks.rig.corpus.sound import seeds

__all__ = ["mutated", "seeds"]
