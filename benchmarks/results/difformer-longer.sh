#!/usr/bin/env bash
# Multi30k: the row distillation-longer without distillation, for what that is worth: the original text for 8000 updates.
# figure: not measured yet
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/distillation.bash
teach
budget[1]=8000
learn "$seq2seq" --recipe difformer
rank_all
