"""What is wrong with a folder of X-rays before anything is trained on it."""
