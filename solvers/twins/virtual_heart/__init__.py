"""A heart of two ventricles that share a septum, in its circulation, with its conduction."""
