#!/usr/bin/env bash
# Multi30k German to English, Difformer's parts, from random weights.
# figure: bleu=33.96 with one candidate, 35.21 with 5 x 2, 35.79 with 7 x 3 (seed 1, 95 minutes on one thread)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
budget=(--minutes 95 --validate-every 500 --hidden 768 --seed "$seed" --threads 1)
learn "$seq2seq"
score "$seq2seq"
score "$seq2seq" --length-beam 5 --noise-beam 2
score "$seq2seq" --length-beam 7 --noise-beam 3
