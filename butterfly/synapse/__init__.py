"""SYNAPSE: carries plan steps out as actions, and keeps the trail."""
