"""A shared library in place of the NVIDIA driver's, which plays virtual boards in real time to any program."""
