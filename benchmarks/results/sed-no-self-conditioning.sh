#!/usr/bin/env bash
# Multi30k: SED's parts on pairs, without self-conditioning.
# figure: bleu=8.46, with guidance 2 10.52, with 4 10.67 (seed 1, loaded); 8.75, 10.88, 10.92 (seed 2, bf16)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
row_updates=2000  # as many as the row sed has, though each costs half
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe sed --without-self-conditioning
for guidance in 1 2 4; do score "$seq2seq" --guidance "$guidance"; done
