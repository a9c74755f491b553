"""The search over band splits and network sizes."""
