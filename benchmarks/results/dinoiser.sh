#!/usr/bin/env bash
# Multi30k: DINOISER whole, by CeDi and by DDIM, and of other sentences' sources.
# figure: not yet measured
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe dinoiser
translate_both
