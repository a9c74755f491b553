"""A web page that separates songs in the browser: the exported network in onnxruntime-web, one thread, no server.

In: an exported graph and the files of onnxruntime-web. Out: a folder that any static web server can serve.
"""
