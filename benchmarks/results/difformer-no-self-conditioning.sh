#!/usr/bin/env bash
# Multi30k: Difformer without self-conditioning.
# figure: bleu=25.22 with one candidate, 27.36 with 5 x 2 (seed 1); 24.80, 27.06 (seed 2, bf16); loaded
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe difformer --without-self-conditioning
translate
