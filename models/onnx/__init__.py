"""Separation without PyTorch: onnxruntime runs a graph that `models export` wrote, chunk by chunk.

In: an .onnx file and a mixture [C, T]. Out: {stem: [C, T]} as numpy arrays, equal to PyTorch's.
"""
