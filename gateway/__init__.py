"""The front door: alerts become workflows here."""
