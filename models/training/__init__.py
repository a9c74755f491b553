"""Training: packs of decoded audio, random mixing, the loss and the loop."""
