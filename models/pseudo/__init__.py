"""Songs without stems: a teacher labels them, a student learns from them and becomes the teacher when it is better.

In: songs, teachers (checkpoints, or folders of estimates), a pack with stems. Out: what a training run mixes from.
"""
