"""`driftloop run`: the whole loop on real data, with proof at the end."""
