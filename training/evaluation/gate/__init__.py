"""The gate: what it is fitted to, how, and what it then refuses."""
