"""Networks as one ONNX graph, waveform to stems, of any length: onnxruntime runs it without PyTorch.

In: a checkpoint. Out: an .onnx file that also says how to use it (stems, rate, chunks), and equals PyTorch.
"""
