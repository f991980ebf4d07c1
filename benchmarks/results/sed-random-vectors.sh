#!/usr/bin/env bash
# Multi30k: SED's parts on pairs, with vectors that know nothing.
# figure: bleu=7.09, 8.82, 9.28 by guidance 1, 2, 4 (seed 1, 2000 updates, loaded); 7.71, 9.21, 9.53 (seed 2, bf16)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
row_updates=2000  # each costs two, as both passes of self-conditioning are trained
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe sed --random-vectors
for guidance in 1 2 4; do score "$seq2seq" --guidance "$guidance"; done
