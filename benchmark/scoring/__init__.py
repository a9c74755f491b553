"""The metrics: global SDR, SI-SDR, cSDR and BSSEval v4 (equal to museval), and the accompaniment.

In: references and estimates {stem: [T, C]}. Out: scores {stem: {metric: dB}}.
"""
