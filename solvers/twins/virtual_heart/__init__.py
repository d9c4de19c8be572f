"""The heart of one patient: walls, conduction, sarcomeres, two ventricles that share a septum, a closed loop."""
