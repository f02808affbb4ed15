"""Which events were counted, and which are missing? What ``usage.positions`` keeps of partitions and sources."""
