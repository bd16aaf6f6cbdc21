"""How far synthetic data are from real ones, and which data to make or label next."""
