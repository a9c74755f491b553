"""Audio files: any format that libsndfile or ffmpeg reads, in blocks; all stems written, or none.

In: paths, or blocks [C, T]. Out: blocks [C, T] float32 with their sample rate, or wav and flac files.
"""
