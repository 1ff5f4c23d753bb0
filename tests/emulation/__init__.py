"""The same bytes on other processors: small projects run natively and under emulation.

scenarios    small projects that together use everything that reaches torch
project      one of them, written to a folder
tables       their tables
runner       runs them in one process and writes down what came out
trace        every ATen operation with a digest of its bytes
lines        which lines of the stages run
processors   one such process per processor, native or emulated by QEMU
comparison   what is the same on all of them, and where the first difference is

operations.txt   the ATen operations found to be the same; written by `--update`
functions.txt    what the stages use of NumPy, pandas, math and statistics, and why it is portable

usage: python -m tests.emulation [--update] [--without NAME] [--with NAME=VALUE]
"""
