"""Times to events: how long until, in whom sooner, and by how much."""
