"""General MIDI songs rendered into stems: read and split, vary, synthesise, balance, and the command ``render``."""
