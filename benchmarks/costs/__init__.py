"""What each step costs, beside what it replaces."""
