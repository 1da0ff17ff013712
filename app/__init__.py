"""The inference service: chest X-rays in, class probabilities out."""
