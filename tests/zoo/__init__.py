"""A zoo of small networks, each built, fed and saved as public projects do; nobody's weights.

`python -m tests.zoo` has each adopted and served, and writes the table of docs/your-model.md.
"""
