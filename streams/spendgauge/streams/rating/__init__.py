"""How do usage events become rates? The rates worker: decode, price, add to blocks, write what changed."""
