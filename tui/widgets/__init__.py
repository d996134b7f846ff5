"""Pieces that panels and screens are made of."""
