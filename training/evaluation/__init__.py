"""What a checkpoint's answers are worth."""
