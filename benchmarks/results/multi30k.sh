#!/usr/bin/env bash
# Multi30k German to English, Difformer's parts, from random weights.
# figure: bleu=33.96 with one candidate, 35.21 with 5 x 2, 35.79 with 7 x 3 (seed 1, 95 minutes on one thread)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
"$seq2seq" train --source "$data/multi30k/train.de" --target "$data/multi30k/train.en" \
    --valid-source "$data/multi30k/val.de" --valid-target "$data/multi30k/val.en" \
    --model "$out/de-en.inkling" --minutes 95 --hidden 768 --validate-every 500 --threads 1
for beams in "1 1" "5 2" "7 3"; do
    read -r lengths noises <<<"$beams"
    "$seq2seq" evaluate --model "$out/de-en.inkling" --source "$data/multi30k/test2016.de" \
        --reference "$data/multi30k/test2016.en" --length-beam "$lengths" --noise-beam "$noises"
done
