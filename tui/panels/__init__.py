"""The panels of the screen. None imports another, nor the app."""
