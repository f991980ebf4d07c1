#!/usr/bin/env bash
# Multi30k: SED's parts on pairs, with learned vectors, guided and not.
# figure: bleu=12.48 unguided, 14.55 and 13.87 by guidance 2 and 4 (seed 1, loaded); 12.02, 14.28, 13.38 (seed 2, bf16)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
row_updates=2000  # each costs two, as both passes of self-conditioning are trained
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe sed
for guidance in 1 2 4; do score "$seq2seq" --guidance "$guidance"; done
