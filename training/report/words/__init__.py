"""What a report says, chapter by chapter."""
