"""How does Faust read a topic chunk by chunk? The transport, its thread, and what may be committed."""
