#!/usr/bin/env bash
# Multi30k: DINOISER without clipping of its noise range, by CeDi and by DDIM.
# figure: bleu=21.92 with one candidate, 22.69 with 5 x 2, 14.95 by ddim, 0.92 from other sources (seed 1, loaded); 21.56, 21.61, 14.39, 1.03 (seed 2, bf16)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe dinoiser --levels even
translate_both
