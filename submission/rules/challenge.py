"""The stems that the MDX-23 grader expects, and its limits.

Source: the public MDX-23 starter kit, its documentation and the challenge's pages.
"""

INSTRUMENTS = ("bass", "drums", "other", "vocals")
CHALLENGE_ID = "music-demixing-track-mdx-23"

TIME_FACTOR = 1.57
"""A track must be separated within this many times its duration."""
MEMORY_BYTES = 16 * 10**9
NUM_CPUS = 4
"""Virtual CPUs of the grader's machine."""
LFS_BYTES = 5 * 10**6
"""Files above this size must go through git-LFS."""

PCM16_MAX = 32767 / 32768
"""The largest sample that the grader's PCM_16 files hold; the smallest is -1."""
