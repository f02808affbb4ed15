"""What is on a topic? Its lines as they come, for people or as JSON."""
