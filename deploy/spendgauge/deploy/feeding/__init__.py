"""How do frames and lines of events get to Kafka? Checked first, then as fast as wanted."""
