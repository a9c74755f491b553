"""Audio files: reads every format of libsndfile and ffmpeg in blocks, and writes all stems of a song or none.

In: paths, or blocks [C, T]. Out: blocks [C, T] float32 with their sample rate, or wav and flac files.
"""
