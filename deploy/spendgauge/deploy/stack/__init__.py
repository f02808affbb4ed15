"""How does everything run on one machine? As a few processes, under one that watches over them."""
