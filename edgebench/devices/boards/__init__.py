"""Who is measured: board profiles, the inventory, and how a name becomes a board."""
