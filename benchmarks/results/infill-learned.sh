#!/usr/bin/env bash
# Multi30k's English captions: gaps filled by SED, with vectors that begin at random and are trained with the model.
# figure: not yet measured
# data: multi30k/train.en multi30k/val.en multi30k/test2016.en
source benchmarks/results/infill.bash
learn --random-vectors --train-vectors
fill
