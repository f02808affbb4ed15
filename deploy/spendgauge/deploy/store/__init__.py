"""How does the embedded ClickHouse run? Its engine in a process of its own, behind ClickHouse's HTTP protocol."""
