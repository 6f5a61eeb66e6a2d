"""Numbered demonstrations, each of one idea: `stoker demo` lists and runs them.

A demonstration `NN-some-name` is the module `dNN_some_name`: the first line of its docstring is
its title, and ``main(output, format)`` prints what it has to say, writes pictures and
``result.json`` under `output`, and returns the data. What it says in words is computed from that
data. They may import anything, and nothing imports them.
"""
