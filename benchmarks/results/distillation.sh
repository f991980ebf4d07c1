#!/usr/bin/env bash
# Multi30k: Difformer, its candidates ranked by the autoregressive Transformer, and learning from what that one writes.
# figure: bleu=32.88 distilled, 36.61 with 5 x 2 ranked, 37.33 with 8 x 5; 35.41 ranked alone (seed 1, loaded)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
rows=$(dirname "$out")
teacher=$rows/autoregressive/seed-$seed
plain=$rows/difformer/seed-$seed
distilled=$model
mkdir -p "$(dirname "$teacher")" "$(dirname "$plain")"

# rank: BLEU with one candidate, and with ten of which the teacher's favourite is taken.
rank() {
    score "$seq2seq"
    score "$seq2seq" --length-beam 5 --noise-beam 2 --select perplexity --scorer "$teacher"
}

model=$teacher
learn "$autoregressive"
model=$plain
learn "$seq2seq" --recipe difformer
rank

"$seq2seq" distill --model "$teacher" --source "$data/multi30k/train.de" --output "$distilled.en" --threads "$threads"
texts=(--source "$data/multi30k/train.de" --target "$distilled.en"
    --valid-source "$data/multi30k/val.de" --valid-target "$data/multi30k/val.en")
model=$distilled
learn "$seq2seq" --recipe difformer
rank
score "$seq2seq" --length-beam 5 --noise-beam 2
score "$seq2seq" --length-beam 8 --noise-beam 5 --early-stopping 5 --select perplexity --scorer "$teacher"
