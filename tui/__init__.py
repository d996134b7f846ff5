"""Bittern's faces: the screen (``app.py``) and the command line (``cli.py``)."""
