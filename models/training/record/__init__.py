"""What a run writes down: its folder, the state to resume from, rows of metrics and messages, curves and model card.

In: what the loop did. Out: `last.pt`, `metrics.csv`, `config.yaml`, `calls.jsonl`, `curves.png`, `tensorboard/` and the
model cards of `best/` and `last/`.
"""
