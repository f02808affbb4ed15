"""What does a realistic day of usage look like? Made up, deterministic, with names and sessions."""
