"""The metrics: global SDR, SI-SDR, cSDR and BSSEval v4 (equal to museval), and the accompaniment.

In: references and estimates {stem: [C, T]}. Out: scores {metric: {stem: dB}}.
"""
