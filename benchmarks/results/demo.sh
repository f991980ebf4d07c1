#!/usr/bin/env bash
# The inverse text normalisation of ./dev demo: 200 sentences never seen in training.
# figure: exact_match=0.935 after 2 min 49 s (seed 7, two threads, Xeon)
./dev demo
