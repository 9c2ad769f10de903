"""Readers of Keras, PyTorch, Caffe and safetensors files: a path to named arrays."""
