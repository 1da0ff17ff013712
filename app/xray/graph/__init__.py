"""A checkpoint as OpenVINO's own graph: made by Keras, run without it."""
