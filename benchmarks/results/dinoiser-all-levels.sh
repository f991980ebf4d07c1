#!/usr/bin/env bash
# Multi30k: DINOISER without clipping of its noise range, by CeDi and by DDIM.
# figure: not yet measured
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe dinoiser --levels even
translate_both
