#!/usr/bin/env bash
# Multi30k: Difformer without noise rescaling, F = 1.
# figure: not yet measured
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe difformer --noise-factor 1
translate
