"""What an operator is promised, and whether it holds."""
