"""Everything true about a radiograph around the weights; shared by serving and training.

One road: bytes -> `decode` -> `preprocess` -> model input. Nothing here knows of HTTP.
"""
