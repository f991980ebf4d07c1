#!/usr/bin/env bash
# Multi30k: DINOISER whole, by CeDi and by DDIM, and of other sentences' sources.
# figure: bleu=27.46 with one candidate, 29.02 with 5 x 2, 20.85 by ddim, 0.90 from other sources (seed 1); 26.56, 27.78, 20.92, 1.00 (seed 2, bf16); loaded
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe dinoiser
translate_both
