#!/usr/bin/env bash
# The inverse text normalisation of ./dev demo: 200 sentences never seen in training.
# figure: exact_match=0.950 after 4 min 18 s (seed 7, two threads)
./dev demo
