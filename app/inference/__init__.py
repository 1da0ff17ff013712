"""One upload through the loaded model, and the model's life in the process."""
