"""The training package: a folder of X-rays in, models/best_model.h5 out."""
