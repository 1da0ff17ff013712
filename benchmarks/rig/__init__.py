"""What measures: clients, load, servers that are watched, and what they are sent."""
