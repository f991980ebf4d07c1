#!/usr/bin/env bash
# Multi30k: Difformer, its candidates ranked by the autoregressive Transformer, and learning from what that one writes.
# figure: bleu=32.88 distilled, 36.61 with 5 x 2 ranked, 37.33 with 8 x 5; 35.41 ranked alone (seed 1, loaded)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/distillation.bash
teach
model=$rows/difformer/$run
mkdir -p "$(dirname "$model")"
learn "$seq2seq" --recipe difformer
score "$seq2seq"
rank --length-beam 5 --noise-beam 2

model=$distilled
distil
learn "$seq2seq" --recipe difformer
rank_all
